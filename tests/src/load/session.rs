//! A session with PostgreSQL through a balancer, as the application has one: TLS to whichever
//! member leads, whose certificate must have the name that all members share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Who the server must prove to be.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// A name in the server's certificate.
    pub name: String,
}

/// What a client asks a server that may or may not speak TLS, and its answer that it does.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const YES: u8 = b'S';

/// Connects and logs in. The connection ends with its client or its socket.
pub(super) async fn connect(
    host: &str,
    port: u16,
    config: &Config,
    trust: Option<&Trust>,
) -> Result<Client> {
    let stream = TcpStream::connect((host, port)).await.context("connect")?;
    stream.set_nodelay(true).context("connect")?;
    match trust {
        Some(trust) => start(config, encrypt(stream, trust).await?).await,
        None => start(config, stream).await,
    }
}

async fn start<S>(config: &Config, stream: S) -> Result<Client>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The driver need not know that the stream is encrypted already.
    let mut config = config.clone();
    config.ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect_raw(stream, NoTls).await.context("log in")?;
    tokio::spawn(connection);
    Ok(client)
}

async fn encrypt(
    mut stream: TcpStream,
    trust: &Trust,
) -> Result<impl AsyncRead + AsyncWrite + use<>> {
    stream
        .write_all(&SSL_REQUEST)
        .await
        .context("ask for TLS")?;
    let answer = stream.read_u8().await.context("ask for TLS")?;
    ensure!(answer == YES, "the server does not speak TLS");
    let name = ServerName::try_from(trust.name.clone())
        .with_context(|| format!("`{}` is not the name of a server", trust.name))?;
    let connector = TlsConnector::from(Arc::new(client_config(&trust.authority)?));
    connector.connect(name, stream).await.context("TLS")
}

fn client_config(authority: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let shown = || format!("cannot read {}", authority.display());
    for certificate in CertificateDer::pem_file_iter(authority).with_context(shown)? {
        roots
            .add(certificate.with_context(shown)?)
            .with_context(shown)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("cannot set TLS up")?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

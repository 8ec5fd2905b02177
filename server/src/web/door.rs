//! The handshake. The certificate comes from the authority for what runs on nodes, which they have at hand, and is made
//! anew before it ends: a server may run for years.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brine_model::time::Timestamp;
use brine_transport::https::{Acceptor, Secured};
use brine_transport::identity::Key;
use brine_web::Door;
use tokio::net::TcpStream;

use crate::clock;
use crate::context::Context;

const VALIDITY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A certificate is made anew when this much of it is left.
const EARLY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Debug, Clone)]
pub(super) struct Tls {
    context: Arc<Context>,
    names: Arc<Vec<String>>,
    current: Arc<Mutex<Current>>,
}

#[derive(Debug, Clone)]
struct Current {
    acceptor: Acceptor,
    expires: Timestamp,
}

impl Tls {
    pub(super) fn new(listen: SocketAddr, context: &Arc<Context>) -> Result<Self, String> {
        let names = names(listen, &context.addresses);
        let current = make(context, &names)?;
        Ok(Self {
            context: Arc::clone(context),
            names: Arc::new(names),
            current: Arc::new(Mutex::new(current)),
        })
    }

    fn acceptor(&self) -> Acceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.expires <= clock::now().plus(EARLY) {
            match make(&self.context, &self.names) {
                Ok(next) => *current = next,
                Err(why) => tracing::error!(
                    "the certificate for HTTP ends soon, and no other can be made: {why}"
                ),
            }
        }
        current.acceptor.clone()
    }
}

impl Door for Tls {
    type Stream = Secured;

    async fn enter(&self, stream: TcpStream) -> std::io::Result<Self::Stream> {
        let acceptor = self.acceptor();
        acceptor.accept(stream).await
    }
}

fn make(context: &Context, names: &[String]) -> Result<Current, String> {
    let key = Key::generate().map_err(|error| error.to_string())?;
    let issued = context
        .workload
        .issue_workload(names, &key.public(), clock::now(), VALIDITY)
        .map_err(|error| error.to_string())?;
    let acceptor = Acceptor::new(&issued.der, &key).map_err(|error| error.to_string())?;
    Ok(Current {
        acceptor,
        expires: issued.expires,
    })
}

/// Whatever the server may be called: where it listens, and what nodes dial.
fn names(listen: SocketAddr, addresses: &[String]) -> Vec<String> {
    let mut names: BTreeSet<String> = ["localhost".to_owned(), "127.0.0.1".to_owned()].into();
    if !listen.ip().is_unspecified() {
        names.insert(listen.ip().to_string());
    }
    let hosts = addresses
        .iter()
        .filter_map(|address| address.rsplit_once(':'));
    names.extend(hosts.map(|(host, _)| host.trim_matches(['[', ']']).to_owned()));
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_called_what_nodes_call_it() {
        let addresses = ["brine01:4640".to_owned(), "[fd00::1]:4640".to_owned()];
        let names = names("10.0.0.1:4641".parse().unwrap(), &addresses);
        assert_eq!(
            names,
            ["10.0.0.1", "127.0.0.1", "brine01", "fd00::1", "localhost"]
        );
    }
}

//! Asking the server for certificates, from a job's thread.

use std::time::Duration;

use brine_model::host::{HostError, HostResult};
use brine_model::resource::ResourceId;
use brine_transport::connection::Connection;
use brine_transport::stream::RequestError;
use brine_wire::agent::{AgentReply, AgentRequest};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// For a connection to be there, and for the answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two attempts on one connection.
const AGAIN: Duration = Duration::from_secs(1);

/// The way to the server. The network lives on another thread, whose runtime this waits for.
pub(crate) struct Issuer {
    runtime: Handle,
    link: watch::Receiver<Option<Connection>>,
    limit: Duration,
}

/// Both in DER.
pub(super) struct Issued {
    pub(super) certificate: Vec<u8>,
    pub(super) authority: Vec<u8>,
}

impl Issuer {
    /// To be called on the runtime that the connection lives on.
    pub(crate) fn new(link: watch::Receiver<Option<Connection>>) -> Self {
        Self {
            runtime: Handle::current(),
            link,
            limit: LIMIT,
        }
    }

    /// A connection that goes away is waited for, and asked again: a certificate too many harms
    /// nobody.
    pub(super) fn issue(&self, resource: &ResourceId, csr: Vec<u8>) -> HostResult<Issued> {
        let failed =
            |why: String| HostError::failed(format!("have the server certify {resource}"), why);
        let request = AgentRequest::Certificate {
            resource: resource.to_string(),
            csr,
        };
        let asked = self
            .runtime
            .block_on(async { timeout(self.limit, self.ask(&request)).await });
        match asked {
            Ok(Ok(AgentReply::Certificate {
                certificate,
                authority,
            })) => Ok(Issued {
                certificate,
                authority,
            }),
            Ok(Ok(AgentReply::Refused(why))) => Err(failed(why)),
            Ok(Ok(_)) => Err(failed(
                "its answer makes no sense: is the agent up to date?".to_owned(),
            )),
            Ok(Err(Gone)) => Err(failed("the agent is stopping".to_owned())),
            Err(_) => Err(failed(format!(
                "it did not answer within {} s",
                self.limit.as_secs()
            ))),
        }
    }

    async fn ask(&self, request: &AgentRequest) -> Result<AgentReply, Gone> {
        let mut link = self.link.clone();
        loop {
            let connection = connected(&mut link).await?;
            let asked: Result<AgentReply, RequestError> = connection.request(request).await;
            match asked {
                Ok(reply) => return Ok(reply),
                Err(error) => {
                    tracing::debug!(%error, "a certificate did not come through");
                    sleep(AGAIN).await;
                }
            }
        }
    }
}

/// What the channel lends must be given back before anything is asked: whoever puts the next
/// connection in waits for that.
async fn connected(link: &mut watch::Receiver<Option<Connection>>) -> Result<Connection, Gone> {
    let connection = link.wait_for(Option::is_some).await.map_err(|_| Gone)?;
    connection.clone().ok_or(Gone)
}

/// There will be no connection any more.
struct Gone;

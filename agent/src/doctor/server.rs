//! Whether each server address can be reached, is ours, and takes us.

use std::time::Duration;

use brine_transport::Alpn;
use brine_transport::client::{ClientIdentity, ConnectError, connect};
use brine_transport::closed::{Closed, Code};
use brine_transport::identity::Key;

use super::Check;
use crate::config::Config;
use crate::link::enroll::describe;
use crate::link::token;
use crate::state::{atomic, identity};

const CONNECT: Duration = Duration::from_secs(5);

/// A server that does not want us says so at once.
const REFUSAL: Duration = Duration::from_millis(500);

pub(super) async fn reach(config: &Config) -> Vec<Check> {
    let server = match identity::read_server(&config.state) {
        Ok(server) => server,
        Err(error) => {
            let help = "run this as root; enrol anew if the file is damaged";
            return vec![Check::bad("server", describe(&error), help)];
        }
    };
    let (ca, addresses) = match (server, token::find(&config.root)) {
        (Some(server), _) => (server.ca, server.addresses),
        (None, Ok(Some(found))) => (found.token.ca.clone(), found.token.servers.clone()),
        // Said by the check of the token already.
        (None, _) => return Vec::new(),
    };
    let own = own_certificate(config);
    let mut checks = Vec::new();
    for address in addresses {
        checks.push(one(&address, ca.clone(), own.clone()).await);
    }
    checks
}

fn own_certificate(config: &Config) -> Option<(Vec<u8>, Key)> {
    let key = atomic::read(&config.state.join("key.pem")).ok().flatten()?;
    let key = Key::from_pem(&String::from_utf8_lossy(&key)).ok()?;
    let certificate = identity::read_certificate(&config.state).ok().flatten()?;
    Some((certificate.der, key))
}

/// The handshake only, without a hello: so the agent that may be running keeps its connection.
async fn one(address: &str, ca: Vec<u8>, own: Option<(Vec<u8>, Key)>) -> Check {
    let name = format!("server {address}");
    let enrolled = own.is_some();
    let alpn = if enrolled { Alpn::Agent } else { Alpn::Enroll };
    let identity = ClientIdentity {
        ca,
        certificate: own,
    };
    match connect(&[address.to_owned()], alpn, &identity, CONNECT).await {
        Err(error) => Check::bad(name, describe(&error), help(&error)),
        Ok(connection) => {
            let closed = tokio::time::timeout(REFUSAL, connection.closed()).await;
            match closed {
                Ok(Closed::ByPeer {
                    code: Code::REVOKED,
                    reason,
                }) => Check::bad(
                    name,
                    format!("does not know this node: {reason}"),
                    "place a new join token in /etc/brine/join (`ctl nodes add` or `replace`)",
                ),
                Ok(other) => Check::bad(name, other.to_string(), "see the server's log"),
                Err(_) => {
                    connection.finish().await;
                    let found = if enrolled {
                        "answers, and takes this node"
                    } else {
                        "answers"
                    };
                    Check::good(name, found)
                }
            }
        }
    }
}

fn help(error: &ConnectError) -> String {
    error.help().to_owned()
}

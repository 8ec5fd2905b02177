//! QUIC between server, agents and operators: who is who, and what fits through.
//!
//! The only crate that names quinn, rustls and rcgen. It knows certificates, handshakes, frames
//! and limits; what the messages mean is the business of the programs on top.
//!
//! ```text
//! identity    Key::generate() from_pem(text)  .to_pem() .public() .csr_der()
//!             PublicKey::from_csr(der)  .fingerprint()      fingerprint(spki)
//!             certificate_to_pem(der)  certificate_from_pem(text)
//! authority   Authority::create(now) load(certificate_pem, key_pem)
//!             .certificate_der() .certificate_pem() .key_pem()
//!             .issue(&Subject, &PublicKey, now, validity) -> Certificate { der, serial, expires, fingerprint }
//!             Subject::{Server, Node { name, machine_id }, Operator(name)}  .validity()
//! workload    Authority::issue_workload(&names, &PublicKey, now, validity) -> Certificate
//!             examine(certificate_pem, key_pem, authority_pem) -> Option<CertificateState>
//! peer        Peer { principal, fingerprint, serial, machine_id, expires }  Peer::of(certificate der)
//! join        JoinToken { servers, ca, secret: Option<SecretText> }  .to_text()  text.parse()
//!             new_secret()  is_server("host:port")
//! server      Listener::bind(address, &ServerIdentity { ca, certificate, key })
//!             .accept() -> Option<Incoming>   .local_address()   .shutdown(reason)
//!             Incoming::handshake() -> Result<Connection, HandshakeError>   [in a task of its own]
//! client      connect(&servers, Alpn, &ClientIdentity { ca, certificate: Option<(der, Key)> }, limit)
//!             -> Result<Connection, ConnectError>   ConnectError::help()
//! connection  Connection (cheap to clone): .principal() .peer() .alpn() .remote_address()
//!             .request(&Req) -> Rep   .request_within(&Req, limit) -> Rep
//!             .request_stream(&Req) -> Stream   .open() -> Stream   .accept() -> Option<Stream>
//!             .close(Code, reason)   .closed() -> Closed   .close_reason()   .finish()
//! stream      Stream: .read_request() [asks the policy]   .reply(&Rep) [the last one]
//!             .send(&T)  .receive() -> Option<T>  .receive_last() -> T  .finish()
//!             .send_raw(bytes)  .send_from(reader, length)
//!             .receive_raw(length) -> Vec<u8>  .receive_into(writer, length)
//! https       Acceptor::new(certificate der, &Key)   .accept(TcpStream) -> Secured
//! closed      Closed (why a connection is over), Code (what the closing side says)
//! ```
//!
//! The server reads requests with [`stream::Stream::read_request`] and nothing else: it asks
//! `brine_wire::policy` whether this peer may ask that.

pub mod authority;
pub mod client;
pub mod closed;
pub mod connection;
pub mod https;
pub mod identity;
pub mod join;
pub mod limits;
pub mod peer;
pub mod server;
pub mod stream;
pub mod workload;

mod certificate;
mod connect_error;
mod endpoint;
mod probe;
mod socket;
#[cfg(test)]
mod tests;
mod tls;

use brine_wire::alpn;

/// The protocol families, negotiated in the handshake. What a peer may ask depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// For peers without a certificate.
    Enroll,
    /// For nodes.
    Agent,
    /// For operators.
    Ctl,
}

impl Alpn {
    pub(crate) const ALL: [Self; 3] = [Self::Enroll, Self::Agent, Self::Ctl];

    /// As it is written in the handshake: `brine-agent/1`.
    #[must_use]
    pub const fn name(self) -> &'static [u8] {
        match self {
            Self::Enroll => alpn::ENROLL,
            Self::Agent => alpn::AGENT,
            Self::Ctl => alpn::CTL,
        }
    }

    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|alpn| alpn.name() == name)
    }

    /// The longest frame in this protocol, in bytes. Whoever has shown no certificate gets little.
    pub(crate) const fn frame_limit(self) -> usize {
        match self {
            Self::Enroll => limits::ANONYMOUS_FRAME,
            Self::Agent | Self::Ctl => limits::FRAME,
        }
    }
}

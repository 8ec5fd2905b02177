//! QUIC between server, agents and operators: who is who, and what fits through.
//!
//! The only crate that names quinn, rustls and rcgen. It knows certificates, handshakes, frames
//! and limits; what the messages mean is the business of the programs on top.
//!
//! ```text
//! identity   Key::generate() from_pem() to_pem() public() csr_der()
//!            PublicKey::from_csr(der)  .fingerprint()
//!            certificate_to_pem(der) certificate_from_pem(text)
//! authority  Authority::create(now) load(certificate_pem, key_pem)
//!            .certificate_pem() .key_pem() .certificate_der()
//!            .issue(&Subject, &PublicKey, now, validity) -> Certificate { der, serial, expires, fingerprint }
//!            Subject::{Server, Node { name, machine_id }, Operator(name)}  .validity()
//! peer       Peer { principal, fingerprint, serial, machine_id, expires }  Peer::of(certificate der)
//! join       JoinToken { servers, ca, secret } <-> `brine1.…`   new_secret()
//! server     Listener::bind(address, &ServerIdentity { ca, certificate, key })
//!            .accept() -> Option<Incoming>   Incoming::handshake() -> Result<Connection, HandshakeError>
//!            .local_address()  .shutdown(reason)
//! client     connect(&servers, Alpn, &ClientIdentity { ca, certificate }, timeout) -> Result<Connection, ConnectError>
//! connection Connection (Clone): principal() peer() alpn() remote_address()
//!            request(&Req) -> Rep   request_stream(&Req) -> Stream   accept() -> Option<Stream>
//!            close(code, reason)  closed() -> Closed   finish()
//! stream     Stream: read_request() [checks the policy]  reply(&Rep)
//!            send(&T) receive() -> Option<T>  finish()
//!            send_raw(bytes) send_from(reader, length)  receive_raw(length) receive_into(writer, length)
//! ```
//!
//! The server reads requests with [`stream::Stream::read_request`] and nothing else: it asks
//! `brine_wire::policy` whether this peer may ask that.

pub mod authority;
pub mod client;
pub mod closed;
pub mod connection;
pub mod identity;
pub mod join;
pub mod limits;
pub mod peer;
pub mod server;
pub mod stream;

mod certificate;
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

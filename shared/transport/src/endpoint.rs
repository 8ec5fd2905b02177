//! How a server tells its clients that it was restarted.
//!
//! An agent whose server restarts keeps sending into a connection that nobody knows any more. The
//! server answers such packets with a token that only it can know (a stateless reset), and the
//! agent connects anew at once instead of timing out. For that the token's key must outlive the
//! process, and unknown connection ids must not be dropped unread.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use brine_model::digest::Digest;
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};

use crate::identity::Key;
use crate::tls;

/// A whole fleet may have to be told. Resets are shorter than what they answer, so nobody can use
/// them against others.
const RESETS_APART: Duration = Duration::from_millis(1);

/// None when the system gives no random numbers.
pub(crate) fn config(key: &Key) -> Option<EndpointConfig> {
    let private = key.private_der();
    let secret = Digest::of_parts([b"brine stateless reset".as_slice(), private.secret_der()]);
    let reset = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let seed = tls::random::<32>()?;
    let mut config = EndpointConfig::new(Arc::new(reset));
    config
        .min_reset_interval(RESETS_APART)
        .cid_generator(move || Box::new(Ids { key: seed, next: 0 }));
    Some(config)
}

/// Ids that nobody can guess and that do not repeat.
struct Ids {
    key: [u8; 32],
    next: u64,
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.next = self.next.wrapping_add(1);
        let digest = Digest::keyed(&self.key, &self.next.to_le_bytes());
        ConnectionId::new(&digest.as_bytes()[..self.cid_len()])
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

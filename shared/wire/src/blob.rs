//! Blobs: bytes named by their digest.

use serde::{Deserialize, Serialize};

/// The reply's envelope; the bytes follow it on the same stream, raw, up to `length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlobReply {
    Follows {
        length: u64,
    },
    /// Not there, or not this node's to have: the two are not told apart.
    NotFound,
}

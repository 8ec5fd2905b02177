//! Messages as bytes, and back. The only module that names the codec, so that it can be replaced.
//!
//! bincode 2, standard configuration: variants and lengths as variable integers, no field names.
//! It does not evolve by itself: that is why messages are append-only and catalogs are blobs.

use bincode::de::read::Reader;
use bincode::error::DecodeError as CodecError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message, in bytes, whatever limit the caller gives.
pub const MAX: usize = 16 << 20;

/// Most messages are shorter than this, in bytes; they get a limit of their own.
const SMALL: usize = 64 << 10;

/// The codec counts eight bytes for an integer that it reads from one.
const WIDEST: usize = 8;

/// Stack that decoding may use, in bytes: a value nested so deeply that it would overflow the
/// stack of a worker thread (2 MiB) is an error instead of the end of the process.
const STACK: usize = 512 << 10;

/// The message cannot be written as bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode: {0}")]
pub struct EncodeError(String);

/// The bytes are no such message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{length} bytes are more than the limit of {limit}")]
    TooLong { length: usize, limit: usize },
    #[error("{0} bytes are left over")]
    Trailing(usize),
    /// In the codec's words; bounded, for they may quote the bytes.
    #[error("not such a message: {0}")]
    Malformed(String),
}

pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, EncodeError> {
    bincode::serde::encode_to_vec(message, bincode::config::standard())
        .map_err(|error| EncodeError(error.to_string()))
}

/// Decodes all of `bytes`, of which there may be at most `limit` (and never more than [`MAX`]).
///
/// A length within the bytes that no such message could have is refused before anything is
/// allocated for it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    let limit = limit.min(MAX);
    if bytes.len() > limit {
        return Err(DecodeError::TooLong {
            length: bytes.len(),
            limit,
        });
    }
    let mut input = Input {
        rest: bytes,
        stack: stack_position(),
    };
    let config = bincode::config::standard();
    let message = if bytes.len() <= SMALL {
        bincode::serde::decode_from_reader(&mut input, config.with_limit::<{ SMALL * WIDEST }>())
    } else {
        bincode::serde::decode_from_reader(&mut input, config.with_limit::<{ MAX * WIDEST }>())
    };
    let message = message
        .map_err(|error| DecodeError::Malformed(error.to_string().chars().take(200).collect()))?;
    match input.rest.len() {
        0 => Ok(message),
        left => Err(DecodeError::Trailing(left)),
    }
}

/// What is left to decode.
struct Input<'a> {
    rest: &'a [u8],
    /// Where the stack was when decoding began.
    stack: usize,
}

impl Reader for &mut Input<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), CodecError> {
        // Every level of nesting reads something, so this sees how deep it is.
        if stack_position().abs_diff(self.stack) > STACK {
            return Err(CodecError::Other("nested too deeply"));
        }
        let missing = bytes.len().saturating_sub(self.rest.len());
        let (part, rest) =
            self.rest
                .split_at_checked(bytes.len())
                .ok_or(CodecError::UnexpectedEnd {
                    additional: missing,
                })?;
        bytes.copy_from_slice(part);
        self.rest = rest;
        Ok(())
    }
}

/// Roughly where the stack ends now. Not inlined, or it would be its caller's frame.
#[inline(never)]
fn stack_position() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

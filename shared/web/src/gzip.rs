//! Packing. What a compressor works with is a quarter of a megabyte, and to get that from the kernel for each answer
//! takes a third as long as packing it: one is kept.

use std::sync::{Mutex, PoisonError};

use flate2::{Compress, CompressError, Compression, Crc, FlushCompress, Status};

/// RFC 1952: deflate, nothing further, packed fast, by an unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// None while it packs: whoever comes then makes one of his own.
static KEPT: Mutex<Option<Compress>> = Mutex::new(None);

/// The fastest level: text of metrics shrinks to a fifth with it, and scrapes are many.
pub(crate) fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let known = kept().take();
    let mut compressor = known.unwrap_or_else(|| Compress::new(Compression::fast(), false));
    let packed = pack_with(&mut compressor, bytes);
    *kept() = Some(compressor);
    packed.ok()
}

fn pack_with(compressor: &mut Compress, bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    compressor.reset();
    let mut packed = Vec::with_capacity(HEAD.len() + bytes.len() / 4);
    packed.extend(HEAD);
    let mut rest = bytes;
    loop {
        let before = compressor.total_in();
        let status = compressor.compress_vec(rest, &mut packed, FlushCompress::Finish)?;
        if status == Status::StreamEnd {
            break;
        }
        let taken = usize::try_from(compressor.total_in() - before).unwrap_or(rest.len());
        rest = &rest[taken..];
        packed.reserve(bytes.len() / 4 + HEAD.len());
    }
    let mut checksum = Crc::new();
    checksum.update(bytes);
    packed.extend(checksum.sum().to_le_bytes());
    packed.extend(checksum.amount().to_le_bytes());
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_is_unpacked_is_what_was_packed() {
        let mut noise = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            noise.to_be_bytes()[0]
        })
        .take(300_000)
        .collect();
        let text = "node_load1 0.25\n".repeat(20_000);
        for bytes in [text.as_bytes(), b"", &noise, b"x", text.as_bytes()] {
            let packed = pack(bytes).unwrap();
            let mut unpacked = Vec::new();
            let mut decoder = GzDecoder::new(&*packed);
            decoder.read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == bytes && decoder.into_inner().is_empty());
        }
    }
}

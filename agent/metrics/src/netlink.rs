//! Questions to the kernel's network side that have lists for an answer: one round of calls instead of many files.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use crate::collector::CollectError;

/// Interfaces: their header is 16 bytes, with the index at 4.
pub(crate) const GET_LINK: u16 = 18;
/// Addresses: their header is 8 bytes, with family and length of the prefix first, and the interface's index at 4.
pub(crate) const GET_ADDRESS: u16 = 22;

/// Before each message: length, kind, flags, number, sender.
const HEADER: usize = 16;
const REQUEST_AND_DUMP: u16 = 0x001 | 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The kernel's own limit for one part of an answer.
const PART: usize = 32 * 1024;
/// Before each attribute: length and kind.
const ATTRIBUTE: usize = 4;

/// Asks for a whole list, and hands over each message: header of its own first, attributes behind.
pub(crate) fn list(
    question: u16,
    header: usize,
    mut each: impl FnMut(&[u8]),
) -> Result<(), CollectError> {
    let failed = |errno: Errno| CollectError::malformed("netlink", errno.desc());
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )
    .map_err(failed)?;
    let mut request = Vec::with_capacity(HEADER + header);
    let length = u32::try_from(HEADER + header).unwrap_or_default();
    request.extend_from_slice(&length.to_ne_bytes());
    request.extend_from_slice(&question.to_ne_bytes());
    request.extend_from_slice(&REQUEST_AND_DUMP.to_ne_bytes());
    request.resize(HEADER + header, 0);
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &request, &kernel, MsgFlags::empty()).map_err(failed)?;
    let mut buffer = vec![0_u8; PART];
    loop {
        let count = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(count) => count,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(failed(errno)),
        };
        if take(&buffer[..count], header, &mut each)? {
            return Ok(());
        }
    }
}

/// One part of an answer; whether it was the last one.
fn take(
    mut part: &[u8],
    header: usize,
    each: &mut impl FnMut(&[u8]),
) -> Result<bool, CollectError> {
    let malformed = || CollectError::malformed("netlink", "an answer is cut off");
    if part.is_empty() {
        return Err(malformed());
    }
    while !part.is_empty() {
        let length = number::<4>(part, 0).map(u32::from_ne_bytes);
        let length = usize::try_from(length.ok_or_else(malformed)?).unwrap_or(usize::MAX);
        let kind = number::<2>(part, 4).map(u16::from_ne_bytes);
        let message = part.get(HEADER..length).ok_or_else(malformed)?;
        match kind {
            Some(DONE) => return Ok(true),
            Some(ERROR) => {
                let code = number::<4>(message, 0).map(i32::from_ne_bytes);
                let errno = Errno::from_raw(code.unwrap_or_default().saturating_neg());
                return Err(CollectError::malformed("netlink", errno.desc()));
            }
            _ if message.len() >= header => each(message),
            _ => return Err(malformed()),
        }
        part = part.get(aligned(length)..).unwrap_or_default();
    }
    Ok(false)
}

/// The attributes behind a message's header: kind and content.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(number::<2>(bytes, 0).map(u16::from_ne_bytes)?);
        let kind = number::<2>(bytes, 2).map(u16::from_ne_bytes)?;
        let content = bytes.get(ATTRIBUTE..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, content))
    })
}

/// So many bytes of a number in the machine's order.
pub(crate) fn number<const SIZE: usize>(bytes: &[u8], at: usize) -> Option<[u8; SIZE]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart_and_odd_ones_refused() {
        let mut part = Vec::new();
        for (kind, body) in [(16_u16, &b"abcdefg"[..]), (DONE, b"")] {
            let length = u32::try_from(HEADER + body.len()).unwrap();
            part.extend_from_slice(&length.to_ne_bytes());
            part.extend_from_slice(&kind.to_ne_bytes());
            part.extend_from_slice(&[0; 10]);
            part.extend_from_slice(body);
            part.resize(part.len().next_multiple_of(4), 0);
        }
        let mut messages = Vec::new();
        let mut each = |message: &[u8]| messages.push(message.to_vec());
        assert!(take(&part, 4, &mut each).unwrap());
        assert!(!take(&part[..24], 4, &mut each).unwrap(), "more is to come");
        assert!(take(&part[..20], 4, &mut each).is_err(), "cut off");
        assert!(take(&part, 8, &mut each).is_err(), "its header is longer");
        assert!(take(&[], 4, &mut each).is_err() && take(&[0; 3], 4, &mut each).is_err());
        assert!(take(&[0; 64], 4, &mut each).is_err(), "no length");
        assert_eq!(messages, [b"abcdefg", b"abcdefg"]);
    }

    #[test]
    fn attributes_end_where_they_make_no_sense() {
        let mut bytes = Vec::new();
        for (kind, content) in [(3_u16, &b"eth0\0"[..]), (7, b"")] {
            let length = u16::try_from(ATTRIBUTE + content.len()).unwrap();
            bytes.extend_from_slice(&length.to_ne_bytes());
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes.extend_from_slice(&[0; 8]);
        let found: Vec<_> = attributes(&bytes).collect();
        assert_eq!(found, [(3, &b"eth0\0"[..]), (7, &b""[..])]);
    }
}

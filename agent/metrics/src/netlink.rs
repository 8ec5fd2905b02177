//! What the kernel says of the network over netlink: lists, of which each entry has a head and attributes.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use crate::roots::ReadError;

/// Lists that can be asked for. Links have heads of 16 bytes with their number at 4; addresses of 8 bytes, with the
/// length of the prefix at 1 and the link's number at 4.
pub(crate) const LINKS: u16 = 18;
pub(crate) const ADDRESSES: u16 = 22;
pub(crate) const ROUTES: u16 = 26;
pub(crate) const QUEUES: u16 = 38;

const REQUEST: u16 = 0x001;
const DUMP: u16 = 0x300;

const ERROR: u16 = 2;
const DONE: u16 = 3;

const HEADER: usize = 16;

/// The kernel fills no more in one answer.
const BUFFER: usize = 32 * 1024;

/// Asks for a whole list with a message's body, and hands over each entry: its head, with its attributes behind.
///
/// # Errors
/// The kernel does not answer, or not as it should.
pub(crate) fn list(kind: u16, body: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), ReadError> {
    ask(kind, body, &mut each).map_err(|source| ReadError::new("netlink", source))
}

fn ask(kind: u16, body: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    let request = request(kind, body);
    sendto(socket.as_raw_fd(), &request, &kernel, MsgFlags::empty())?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if take(&buffer[..count], each)? {
            return Ok(());
        }
    }
}

fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = HEADER + body.len();
    let mut request = Vec::with_capacity(length);
    request.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend((REQUEST | DUMP).to_ne_bytes());
    // A number for the request, and one for us: there is only one of each.
    request.extend([0; 8]);
    request.extend(body);
    request
}

/// Takes the entries out of one answer; true when it was the last.
fn take(answer: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    let mut rest = answer;
    while let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 4)) {
        let length = length as usize;
        let Some(body) = rest.get(HEADER..length) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match kind {
            DONE => return Ok(true),
            ERROR => {
                let code = u32_at(body, 0).map_or(0, u32::cast_signed);
                return Err(io::Error::from_raw_os_error(code.saturating_neg()));
            }
            _ => each(body),
        }
        rest = rest.get(aligned(length)..).unwrap_or(&[]);
    }
    Ok(false)
}

/// Kinds and values of what follows a head.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)?;
        let value = rest.get(4..length)?;
        rest = rest.get(aligned(length)..).unwrap_or(&[]);
        // The highest two bits say what is within, which is known.
        Some((kind & 0x3fff, value))
    })
}

/// Names of the network devices by their number.
pub(crate) fn device_names() -> Result<HashMap<u32, String>, ReadError> {
    const HEAD: usize = 16;
    const NAME: u16 = 3;
    // Without statistics, which are the most of it.
    const MASK: u16 = 29;
    const SKIP_STATISTICS: u32 = 8;
    let mut body = vec![0; HEAD];
    body.extend(8_u16.to_ne_bytes());
    body.extend(MASK.to_ne_bytes());
    body.extend(SKIP_STATISTICS.to_ne_bytes());
    let mut names = HashMap::new();
    list(LINKS, &body, |link| {
        let mut attributes = attributes(link.get(HEAD..).unwrap_or(&[]));
        let name = attributes.find(|(kind, _)| *kind == NAME);
        if let (Some(number), Some((_, name))) = (u32_at(link, 4), name) {
            names.insert(number, word(name));
        }
    })?;
    Ok(names)
}

/// Text with a zero behind it.
pub(crate) fn word(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// So many bytes.
pub(crate) fn number<const SIZE: usize>(bytes: &[u8], place: usize) -> Option<[u8; SIZE]> {
    bytes.get(place..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    number(bytes, place).map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    number(bytes, place).map(u32::from_ne_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], place: usize) -> Option<u64> {
    number(bytes, place).map(u64::from_ne_bytes)
}

/// What follows begins at a multiple of four.
pub(crate) fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An attribute, with what fills it up.
    pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = 4 + value.len();
        let mut bytes = u16::try_from(length).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(aligned(length), 0);
        bytes
    }

    #[test]
    fn the_first_device_is_the_loop() {
        let names = device_names().unwrap();
        assert!(names.values().any(|name| name == "lo"), "{names:?}");
    }

    #[test]
    fn answers_are_taken_apart() {
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut answer = request(LINKS, b"abcde");
        answer.extend([0; 3]);
        answer.extend(request(LINKS, b"xy"));
        let mut each = |entry: &[u8]| entries.push(entry.to_vec());
        assert!(!take(&answer, &mut each).unwrap());
        assert!(take(&request(DONE, &[0; 4]), &mut each).unwrap());
        let error = take(&request(ERROR, &(-1_i32).to_ne_bytes()), &mut each).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(1));
        assert!(take(&answer[..20], &mut each).is_err());
        assert!(take(&[0; 16], &mut each).is_err());
        assert_eq!(entries, [b"abcde".to_vec(), b"xy".to_vec()]);
    }

    #[test]
    fn attributes_end_where_they_make_no_sense() {
        let mut bytes = attribute(3, b"lo\0");
        bytes.extend(attribute(0x8007, &[]));
        bytes.extend([1, 0, 9, 9]);
        let all: Vec<_> = attributes(&bytes).collect();
        assert_eq!(all, [(3, b"lo\0".as_slice()), (7, b"".as_slice())]);
        assert_eq!(word(b"lo\0x"), "lo");
    }
}

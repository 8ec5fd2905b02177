//! What comes back.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use super::deadline::Deadline;

/// A longer head is none that we want to read.
const HEAD: usize = 32 << 10;

/// The longest body that is taken, in bytes.
const BODY: usize = 1 << 20;

const NOT_HTTP: &str = "the answer is not HTTP";
const CUT_SHORT: &str = "the answer was cut short";

/// An answer whose head was read.
pub(super) struct Response {
    pub(super) status: u16,
    length: Length,
    input: Input,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    UntilClosed,
    Encoded,
}

impl Response {
    pub(super) fn read(stream: TcpStream, deadline: &Deadline) -> Result<Self, String> {
        let mut input = Input {
            stream,
            buffer: Vec::new(),
        };
        loop {
            let (status, length) = head(&mut input, deadline)?;
            // "Continue" and the like come before the answer.
            if !(100..200).contains(&status) {
                let length = match status {
                    204 | 304 => Length::Known(0),
                    _ => length,
                };
                return Ok(Self {
                    status,
                    length,
                    input,
                });
            }
        }
    }

    pub(super) fn body(&mut self, deadline: &Deadline) -> Result<Vec<u8>, String> {
        match self.length {
            Length::Known(length) => self.input.take(length, 0, deadline),
            Length::Chunked => self.chunks(deadline),
            Length::UntilClosed => {
                while self.input.more(deadline)? {
                    fits(self.input.buffer.len())?;
                }
                Ok(std::mem::take(&mut self.input.buffer))
            }
            Length::Encoded => Err("the answer is encoded in a way that was not asked for".into()),
        }
    }

    fn chunks(&mut self, deadline: &Deadline) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            let line = self.input.line(deadline)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = match usize::from_str_radix(digits, 16) {
                Ok(length) if !digits.starts_with('+') => length,
                _ => return Err(NOT_HTTP.to_owned()),
            };
            if length == 0 {
                // Trailers tell nothing that is wanted here.
                return Ok(body);
            }
            let chunk = self.input.take(length, body.len(), deadline)?;
            body.extend_from_slice(&chunk);
            if !self.input.line(deadline)?.is_empty() {
                return Err(NOT_HTTP.to_owned());
            }
        }
    }
}

fn fits(length: usize) -> Result<(), String> {
    if length > BODY {
        Err(format!("the answer has more than {} MiB", BODY >> 20))
    } else {
        Ok(())
    }
}

fn head(input: &mut Input, deadline: &Deadline) -> Result<(u16, Length), String> {
    let first = input.line(deadline).map_err(|why| match why.as_str() {
        CUT_SHORT if input.buffer.is_empty() => {
            "the connection was closed without an answer".to_owned()
        }
        _ => why,
    })?;
    let mut words = first.split(' ');
    let protocol = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse().ok());
    let status: u16 = match status {
        Some(status) if protocol.starts_with("HTTP/1.") => status,
        _ => return Err(NOT_HTTP.to_owned()),
    };
    let mut length = Length::UntilClosed;
    let mut size = first.len();
    loop {
        let line = input.line(deadline)?;
        size += line.len();
        if size > HEAD {
            return Err(NOT_HTTP.to_owned());
        }
        if line.is_empty() {
            return Ok((status, length));
        }
        let (name, value) = line.split_once(':').ok_or(NOT_HTTP)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            length = if value.eq_ignore_ascii_case("chunked") {
                Length::Chunked
            } else {
                Length::Encoded
            };
        } else if name.eq_ignore_ascii_case("content-length") && length == Length::UntilClosed {
            length = Length::Known(value.parse().map_err(|_| NOT_HTTP)?);
        }
    }
}

struct Input {
    stream: TcpStream,
    /// Read, and not used yet.
    buffer: Vec<u8>,
}

impl Input {
    /// Without its end.
    fn line(&mut self, deadline: &Deadline) -> Result<String, String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.buffer.len() > HEAD {
                return Err(NOT_HTTP.to_owned());
            }
            if !self.more(deadline)? {
                return Err(CUT_SHORT.to_owned());
            }
        }
    }

    /// So many bytes, after `before` of the same body.
    fn take(
        &mut self,
        length: usize,
        before: usize,
        deadline: &Deadline,
    ) -> Result<Vec<u8>, String> {
        fits(before.saturating_add(length))?;
        while self.buffer.len() < length {
            if !self.more(deadline)? {
                return Err(CUT_SHORT.to_owned());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads on, however slowly the bytes trickle; false at the end.
    fn more(&mut self, deadline: &Deadline) -> Result<bool, String> {
        let mut chunk = [0; 8 << 10];
        loop {
            let left = deadline.left()?;
            self.stream
                .set_read_timeout(Some(left))
                .map_err(|error| error.to_string())?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.buffer.extend_from_slice(&chunk[..length]);
                    return Ok(true);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

//! One exchange: frames there and back, raw bytes after them where a reply says so.
//!
//! A frame is four bytes of length, big endian, and as many bytes of one encoded message.

use std::time::Duration;

use brine_wire::codec::{self, DecodeError, EncodeError};
use brine_wire::policy::Policy;
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::closed::{Closed, Code};
use crate::connection::Connection;
use crate::limits::{CHUNK, STALL};

/// Why a request or a reply did not get through.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The connection is over, and with it everything that went on in it.
    #[error("connection closed")]
    Closed(#[source] Closed),
    /// The other side gave this one exchange up.
    #[error("the other side stopped the exchange")]
    Stopped,
    #[error("the other side moved nothing for {} s", STALL.as_secs())]
    Stalled,
    #[error("no answer within {} s", .0.as_secs_f32())]
    NoAnswer(Duration),
    #[error("the other side ended the stream too early")]
    Ended,
    #[error("more bytes than the message has")]
    Trailing,
    #[error("a message of {length} bytes; the most is {limit}")]
    TooLong { length: u64, limit: u64 },
    #[error("the message cannot be decoded")]
    Decode(#[source] DecodeError),
    #[error("the message cannot be encoded")]
    Encode(#[source] EncodeError),
    /// The policy says that this peer may not ask that; the connection has been closed.
    #[error("this peer may not ask that")]
    Forbidden,
    #[error("cannot read or write the bytes on this side")]
    Local(#[source] std::io::Error),
}

/// One stream of a connection, both directions. Dropping it early tells the other side.
#[derive(Debug)]
pub struct Stream {
    send: SendStream,
    receive: RecvStream,
    connection: Connection,
}

impl Stream {
    pub(crate) fn new(connection: Connection, (send, receive): (SendStream, RecvStream)) -> Self {
        Self {
            send,
            receive,
            connection,
        }
    }

    /// The connection that it belongs to.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Reads the one request of this stream and asks the policy whether this peer may ask it.
    ///
    /// A peer that may not, or whose bytes make no sense, loses its connection: ours never do that.
    pub async fn read_request<Req: DeserializeOwned + Policy>(
        &mut self,
    ) -> Result<Req, RequestError> {
        let request: Result<Req, _> = match timeout(STALL, self.header()).await {
            Ok(Ok(Some(length))) => self.body(length).await,
            Ok(Ok(None)) => Err(RequestError::Ended),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(RequestError::Stalled),
        };
        let request = match request {
            Ok(request) => match self.ended().await {
                Ok(()) => Ok(request),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match &request {
            Ok(asked) if !asked.required().admits(self.connection.principal()) => {
                self.connection
                    .close(Code::FORBIDDEN, "not a request that this peer may make");
                Err(RequestError::Forbidden)
            }
            Err(
                RequestError::Decode(_) | RequestError::TooLong { .. } | RequestError::Trailing,
            ) => {
                self.connection
                    .close(Code::MALFORMED, "the request cannot be understood");
                request
            }
            _ => request,
        }
    }

    /// Writes the last message of this side.
    ///
    /// `Ok` means sent, not arrived. The connection must outlive it: keep asking
    /// [`Connection::accept`] until the other side, which knows when it has all, closes.
    pub async fn reply<Rep: Serialize>(mut self, reply: &Rep) -> Result<(), RequestError> {
        self.send(reply).await?;
        self.finish()
    }

    /// Writes one message of several.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), RequestError> {
        let body = codec::encode(message).map_err(RequestError::Encode)?;
        let limit = self.connection.alpn().frame_limit();
        let length = u32::try_from(body.len())
            .ok()
            .filter(|_| body.len() <= limit)
            .ok_or(RequestError::TooLong {
                length: body.len() as u64,
                limit: limit as u64,
            })?;
        let mut frame = Vec::with_capacity(4 + body.len());
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&body);
        self.send_raw(&frame).await
    }

    /// Reads one message of several; none when the other side has finished. Waits as long as the
    /// connection lives for it to begin.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>, RequestError> {
        match self.header().await? {
            Some(length) => self.body(length).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the only message and the end of the other side.
    pub async fn receive_last<T: DeserializeOwned>(&mut self) -> Result<T, RequestError> {
        let message = self.receive().await?.ok_or(RequestError::Ended)?;
        self.ended().await?;
        Ok(message)
    }

    /// No more from this side.
    pub fn finish(&mut self) -> Result<(), RequestError> {
        self.send.finish().map_err(|_| RequestError::Stopped)
    }

    /// Writes bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        for chunk in bytes.chunks(CHUNK) {
            match timeout(STALL, self.send.write_all(chunk)).await {
                Ok(written) => written.map_err(write_error)?,
                Err(_) => return Err(RequestError::Stalled),
            }
        }
        Ok(())
    }

    /// Copies exactly `length` bytes of `reader`.
    pub async fn send_from(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        length: u64,
    ) -> Result<(), RequestError> {
        let mut chunk = vec![0; chunk_of(length)];
        let mut left = length;
        while left > 0 {
            let part = &mut chunk[..chunk_of(left)];
            reader.read_exact(part).await.map_err(RequestError::Local)?;
            self.send_raw(part).await?;
            left -= part.len() as u64;
        }
        Ok(())
    }

    /// Reads exactly `length` bytes, which the caller has found to be bearable; memory grows with
    /// what arrives, not with what was announced.
    pub async fn receive_raw(&mut self, length: u64) -> Result<Vec<u8>, RequestError> {
        let mut bytes = Vec::with_capacity(chunk_of(length));
        while (bytes.len() as u64) < length {
            let have = bytes.len();
            bytes.resize(have + chunk_of(length - have as u64), 0);
            self.read(&mut bytes[have..]).await?;
        }
        Ok(bytes)
    }

    /// Copies exactly `length` bytes to `writer`, for what is too large to be held.
    pub async fn receive_into(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        length: u64,
    ) -> Result<(), RequestError> {
        let mut chunk = vec![0; chunk_of(length)];
        let mut left = length;
        while left > 0 {
            let part = &mut chunk[..chunk_of(left)];
            self.read(part).await?;
            writer.write_all(part).await.map_err(RequestError::Local)?;
            left -= part.len() as u64;
        }
        Ok(())
    }

    async fn header(&mut self) -> Result<Option<u64>, RequestError> {
        let mut header = [0; 4];
        match self.receive.read_exact(&mut header).await {
            Ok(()) => {}
            Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
            Err(error) => return Err(read_exact_error(error)),
        }
        let length = u64::from(u32::from_be_bytes(header));
        let limit = self.connection.alpn().frame_limit() as u64;
        if length > limit {
            return Err(RequestError::TooLong { length, limit });
        }
        Ok(Some(length))
    }

    async fn body<T: DeserializeOwned>(&mut self, length: u64) -> Result<T, RequestError> {
        let bytes = self.receive_raw(length).await?;
        codec::decode(&bytes, self.connection.alpn().frame_limit()).map_err(RequestError::Decode)
    }

    async fn read(&mut self, bytes: &mut [u8]) -> Result<(), RequestError> {
        match timeout(STALL, self.receive.read_exact(bytes)).await {
            Ok(read) => read.map_err(read_exact_error),
            Err(_) => Err(RequestError::Stalled),
        }
    }

    async fn ended(&mut self) -> Result<(), RequestError> {
        match timeout(STALL, self.receive.read(&mut [0; 1])).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(_))) => Err(RequestError::Trailing),
            Ok(Err(error)) => Err(read_error(error)),
            Err(_) => Err(RequestError::Stalled),
        }
    }
}

fn chunk_of(length: u64) -> usize {
    usize::try_from(length).unwrap_or(CHUNK).min(CHUNK)
}

fn write_error(error: WriteError) -> RequestError {
    match error {
        WriteError::ConnectionLost(error) => RequestError::Closed(error.into()),
        WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            RequestError::Stopped
        }
    }
}

fn read_error(error: ReadError) -> RequestError {
    match error {
        ReadError::ConnectionLost(error) => RequestError::Closed(error.into()),
        _ => RequestError::Stopped,
    }
}

fn read_exact_error(error: ReadExactError) -> RequestError {
    match error {
        ReadExactError::FinishedEarly(_) => RequestError::Ended,
        ReadExactError::ReadError(error) => read_error(error),
    }
}

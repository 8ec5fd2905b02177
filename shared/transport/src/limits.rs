//! What a peer may cost, in one place. Where a number was measured, the comment says so.

use std::time::Duration;

/// The longest frame (one message), in bytes. Larger things travel as blobs.
pub const FRAME: usize = 16 << 20;

/// The longest frame from or to a peer without a certificate, in bytes.
pub const ANONYMOUS_FRAME: usize = 64 << 10;

/// Read and written at a time; a peer that moves less than this within [`STALL`] is cut off.
pub(crate) const CHUNK: usize = 64 << 10;

/// How long one chunk, or the start of a request, may take.
pub const STALL: Duration = Duration::from_secs(30);

/// How long a handshake may take on the server, from the first packet to the peer's admission.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes at a time; more wait in line. 500 at a time brought 10,000 agents back in 4 s.
pub(crate) const HANDSHAKES: usize = 512;

/// Connections that wait in line for a handshake; more are told to come back later.
pub(crate) const HANDSHAKES_WAITING: usize = 16 << 10;

/// Bytes kept of one, and of all, that wait in line. A client's first flight is 2.4 kB.
pub(crate) const WAITING_BYTES: u64 = 16 << 10;
pub(crate) const WAITING_BYTES_TOTAL: u64 = 64 << 20;

/// Connections of peers without a certificate, at a time and how long each may last.
pub(crate) const ANONYMOUS_CONNECTIONS: usize = 256;
pub(crate) const ANONYMOUS_LIFE: Duration = Duration::from_secs(60);

/// Sent by the client; the server's idle time-out survives two lost ones.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Silence after which either side gives the connection up.
pub const IDLE: Duration = Duration::from_secs(45);

/// Streams that a peer may open at a time. Each costs the other side memory in advance (8 kB for
/// quinn's default of 100).
pub(crate) const STREAMS: u32 = 4;
pub(crate) const STREAMS_OPERATOR: u32 = 8;

/// Bytes in flight to the server: results and facts.
pub(crate) const SERVER_STREAM_WINDOW: u32 = 256 << 10;
pub(crate) const SERVER_WINDOW: u32 = 1 << 20;

/// Bytes in flight to a client: blobs. 1 MiB at 50 ms round trip is 20 MB/s.
pub(crate) const CLIENT_STREAM_WINDOW: u32 = 1 << 20;
pub(crate) const CLIENT_WINDOW: u32 = 2 << 20;

/// The sockets' receive buffer, in bytes. With the kernel's default (208 KiB) a storm of 10,000
/// agents took 61 s and lost 666 of them, with this 4.7 s and none.
pub(crate) const SOCKET_BUFFER: usize = 4 << 20;

/// How much of a peer's words is shown, in characters.
pub(crate) const WORDS: usize = 300;

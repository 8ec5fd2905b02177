//! Conversations with agents.

mod requests;
mod session;

pub use session::serve;

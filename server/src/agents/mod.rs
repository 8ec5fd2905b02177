//! Conversations with agents.

mod requests;
mod session;

pub(crate) use session::serve;

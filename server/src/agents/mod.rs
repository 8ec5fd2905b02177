//! Conversations with agents.

mod certificates;
mod requests;
mod session;

pub(crate) use session::serve;

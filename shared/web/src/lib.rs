//! A small HTTP endpoint for programs that ask for text: metrics, service discovery.
//!
//! ```text
//! token    the bearer token: never shown, compared in constant time
//! request  what is asked, parsed
//! answer   what is said, and how it becomes a response: compressed where that is asked for
//! gzip     compressing
//! serve    listening, limits, and who is let in
//! ```
//!
//! It answers GET and HEAD, keeps no state of anybody, and has limits for everything that a stranger could make it hold.

mod answer;
mod gzip;
mod request;
mod serve;
mod token;

pub use answer::Answer;
pub use request::Request;
pub use serve::{Door, Limits, Site, serve};
pub use token::{Token, TokenError};

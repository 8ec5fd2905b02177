//! Prometheus' text format: families of samples, and how they are written.
//!
//! The format is version 0.0.4 of <https://prometheus.io/docs/instrumenting/exposition_formats/>; numbers are written as
//! Prometheus' own libraries write them, so that two scrapes can be compared as text.

mod exposition;
mod family;
mod number;
pub mod process;

pub use exposition::{Exposition, Room, Samples};
pub use family::{Kind, Words};
pub use number::Number;

/// What the text format calls itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

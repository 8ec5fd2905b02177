//! The agent: makes one node match its catalog.

pub mod host;
pub mod state;

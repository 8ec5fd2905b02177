//! The agent against a server in the same process, over loopback QUIC, under a temporary root.
#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

mod drift;
mod enrolment;
mod jobs;
mod server;
mod stopping;
mod tasks;

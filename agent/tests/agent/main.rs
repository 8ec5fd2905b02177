//! The agent against a server in the same process, over loopback QUIC, under a temporary root.

mod enrolment;
mod jobs;
mod server;
mod stopping;

//! The server with agents and operators over loopback QUIC, all in one process. The agents are
//! scripts: no machine is looked at.

mod agent;
mod fixture;

mod cancel;
mod crash;
mod enrolment;
mod rights;
mod rollouts;
mod views;

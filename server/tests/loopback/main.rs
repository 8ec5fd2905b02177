//! The server with agents and operators over loopback QUIC, all in one process. The agents are
//! scripts: no machine is looked at.

mod agent;
mod fixture;
mod ring;
mod script;
mod worker;

mod actions;
mod agreed;
mod cancel;
mod certificates;
mod crash;
mod enrolment;
mod forming;
mod places;
mod rights;
mod rollouts;
mod stepping;
mod views;
mod web;

//! The lab: real systemd hosts on one machine, and an API for scenarios on them.
//!
//! A lab is a mount, network and PID namespace of its own, with a bridge; each host is a
//! systemd-nspawn container in it with real `systemd`, `apt` and an address. Killing the lab's
//! first process ends everything in it, so nothing is left behind, however the test ends. Two labs
//! do not see each other and may use the same addresses.

pub mod fleet;
pub mod host;
pub mod image;
pub mod load;
pub mod namespace;
pub mod nodes;
pub mod packages;
pub mod prerequisites;
pub mod process;
pub mod wait;
pub mod webapp;

pub use host::Host;
pub use namespace::{Lab, Lifetime};
pub use process::{Output, Running};
pub use wait::wait_until;

//! What server, agent and `ctl` agree on: values, expressions, templates, resources, plans.
//!
//! Everything here is a function of its arguments. There is deliberately no I/O, no clock, no
//! randomness and no async runtime: what a machine looks like comes in through
//! [`host::ReadHost`], what changes it goes out through [`host::Host`].

pub mod catalog;
pub mod converge;
pub mod deserialize;
pub mod diagnostic;
pub mod digest;
pub mod drift;
pub mod expression;
pub mod facts;
pub mod host;
pub mod inventory;
pub mod live;
pub mod name;
pub mod path;
pub mod resource;
pub mod resources;
pub mod span;
pub mod template;
pub mod time;
pub mod value;

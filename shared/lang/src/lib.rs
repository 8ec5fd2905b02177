//! The state language: YAML, roles, formulas and data to catalogs.
//!
//! [`compile()`] is a function of a state tree, a fleet and references to secrets; [`check()`] is
//! the same with an invented fleet; [`target::select`] says which nodes a target means. Nothing in
//! here reads a file or a clock: a tree comes as [`StateTree`], and equal inputs give equal bytes.
//!
//! A tree is read once into a library: YAML to values with places ([`brine_model::span`]),
//! expressions parsed where they stand, and everything checked that holds without nodes. Then each
//! node is worked out on its own, and what is wrong is attributed to the nodes that it spoils.

mod check;
mod compile;
mod data;
mod duration;
mod dynamic;
mod fleet;
mod formula;
mod issue;
mod library;
mod report;
mod role;
pub mod schema;
mod source;
pub mod target;
mod tree;
mod yaml;

pub use check::{check, has_errors};
pub use compile::{Compilation, Compiled, Deed, NodeAction, Once, compile};
pub use fleet::{DummySecrets, Fleet, NodeInput, SecretStore};
pub use report::Finding;
pub use role::RoleInfo;
pub use tree::StateTree;

//! etcd: what only the cluster as a whole knows, asked by its own client.
//!
//! `etcd_member` brings a member into its cluster before its service first starts, `etcd_voter`
//! makes it a full one once it has caught up. Everything in between (package, unit, certificates)
//! is the formula's.

mod client;
mod join_file;
mod marks;
pub(super) mod member;
#[cfg(test)]
mod tests;
pub(super) mod voter;

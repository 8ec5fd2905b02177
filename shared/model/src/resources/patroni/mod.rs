//! Patroni, by way of its REST API: nothing here goes behind its back, and nothing is restarted by
//! systemd, which would take a leader down without anybody in its place.

mod api;
pub(super) mod config;
mod difference;
pub(super) mod member;
mod pending;
mod restart;
#[cfg(test)]
mod tests;
mod view;

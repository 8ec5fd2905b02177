//! GlusterFS: a node's place in its trusted pool, the pool, a volume, and a node's brick of it.

pub(super) mod brick;
mod cli;
pub(super) mod member;
pub(super) mod peers;
#[cfg(test)]
mod tests;
pub(super) mod volume;

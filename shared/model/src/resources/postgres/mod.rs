//! What lives in a PostgreSQL server, by way of `psql` on the server's own machine.

pub(super) mod database;
mod psql;
mod quote;
pub(super) mod role;
#[cfg(test)]
mod tests;

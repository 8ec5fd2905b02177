//! The envelope's bytes, and who may send them.

mod golden;
mod hostile;
mod policy;
mod samples;

//! State trees as they are on disk, read as a whole.

mod git;
mod load;

pub(crate) use load::{LoadError, Loaded, load};

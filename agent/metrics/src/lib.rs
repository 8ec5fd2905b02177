//! The machine's metrics: names, labels, types, help and values of node_exporter's collectors, so that dashboards and
//! alerts written for it work unchanged.
//!
//! ```text
//! collector   what a collector is: its name, its options, how it is made
//! collectors/ one file each, and the list of them
//! roots       where /proc, /sys and / are, and how files under them are read
//! words       numbers out of the kernel's texts
//! complaints  what fails, for the log
//! kept        attributes that are read at every scrape
//! netlink     lists that the kernel has no files for
//! remembered  what was made of the kernel's words
//! pattern     the include and exclude filters
//! options     what the command line says of collectors
//! selection   which collectors run
//! scrape/     all of them in turn, each with a deadline, and what is said of a scrape itself
//! ```

pub mod collector;
mod collectors;
mod complaints;
mod kept;
mod netlink;
pub mod options;
mod pattern;
mod remembered;
mod roots;
mod scrape;
mod selection;
mod words;

pub use collectors::COLLECTORS;
pub use roots::Roots;
pub use scrape::{Scrape, Scraper};
pub use selection::{Selection, UnknownCollector};

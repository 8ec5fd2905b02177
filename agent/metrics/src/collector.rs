//! What a collector is.

use brine_exposition::Exposition;

use crate::options::{Invalid, Options};
use crate::roots::{ReadError, Roots};

/// One line of the list: everything that is known of a collector before it runs.
#[derive(Debug)]
pub struct Definition {
    /// As `--collector.NAME` and `collect[]` have it.
    pub name: &'static str,
    /// Whether it runs when nobody says anything.
    pub enabled: bool,
    /// Its own options: `--collector.NAME.OPTION`.
    pub options: &'static [Opt],
    /// Makes it, once: what it keeps between scrapes is its own.
    pub new: fn(&Options) -> Result<Box<dyn Collector>, Invalid>,
}

/// An option of a collector.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// What follows `--collector.NAME.`
    pub name: &'static str,
    pub help: &'static str,
    pub default: Value,
}

/// What an option takes, and what it is when nobody says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// `--collector.NAME.OPTION=TEXT`
    Text(&'static str),
    /// `--collector.NAME.OPTION` and `--no-collector.NAME.OPTION`
    Switch(bool),
}

pub trait Collector: Send + Sync {
    /// Adds what the machine says now. What was added before an error counts.
    ///
    /// # Errors
    /// There is nothing of the kind here, or it cannot be read: `node_scrape_collector_success` is 0 then.
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError>;
}

/// A collector that keeps nothing is a function.
impl<F> Collector for F
where
    F: Fn(&Roots, &mut Exposition) -> Result<(), CollectError> + Send + Sync,
{
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        self(roots, out)
    }
}

/// Why a collector did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The machine has nothing of the kind.
    #[error("there is nothing to collect")]
    NoData,
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file is not as the kernel writes it.
    #[error("{file} is not understood: {what}")]
    Malformed { file: String, what: String },
}

impl CollectError {
    /// For the file without which there is nothing to collect: its absence is no failure of the machine's.
    #[must_use]
    pub fn without_file(error: ReadError) -> Self {
        if error.is_missing() {
            Self::NoData
        } else {
            Self::Read(error)
        }
    }

    pub fn malformed(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed {
            file: file.into(),
            what: what.into(),
        }
    }
}

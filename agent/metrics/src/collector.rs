//! What a collector is.

use brine_exposition::Exposition;

use crate::options::{Invalid, Options};
use crate::roots::{Directory, ReadError, Roots, unsigned};

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

/// For files without which there is nothing of the kind.
pub(crate) fn none_if_missing(error: ReadError) -> CollectError {
    if error.is_missing() {
        CollectError::NoData
    } else {
        error.into()
    }
}

/// Adds all, or nothing where there is an error.
pub(crate) fn whole(
    out: &mut Exposition,
    collect: impl FnOnce(&mut Exposition) -> Result<(), CollectError>,
) -> Result<(), CollectError> {
    let mut part = Exposition::new();
    collect(&mut part)?;
    out.absorb(part);
    Ok(())
}

/// An attribute that has to be there and to be a number.
pub(crate) fn count(directory: &Directory, name: &str) -> Result<u64, CollectError> {
    let value = directory.value(name)?;
    match unsigned(&value) {
        Some(count) => Ok(count),
        None => {
            let file = directory.path().join(name);
            Err(CollectError::malformed(file.display().to_string(), value))
        }
    }
}

/// A name of the kernel's as a part of a metric's: letters that cannot be there, with the underscores around them, make
/// one underscore.
pub(crate) fn metric_name(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(is_odd) {
        clean.push_str(rest[..at].trim_end_matches('_'));
        clean.push('_');
        rest = rest[at..].trim_start_matches(is_odd);
        rest = rest.trim_start_matches('_');
    }
    clean.push_str(rest);
    clean
}

fn is_odd(letter: char) -> bool {
    !letter.is_ascii_alphanumeric() && letter != '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_kernel_become_parts_of_metrics() {
        for (name, clean) in [
            ("dram", "dram"),
            ("a__b", "a__b"),
            ("package-0-die-1", "package_0_die_1"),
            ("net.ipv4._-_.x_", "net_ipv4___x_"),
            ("-", "_"),
            ("", ""),
        ] {
            assert_eq!(metric_name(name), clean);
        }
    }
}

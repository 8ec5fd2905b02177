//! Programs as resources name them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::field::Argv;
use crate::host::Program;

/// What a guard or a validator gets: it only looks, so it has no reason to take long.
pub(super) const LOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// A program with nothing special about it.
pub(super) fn plain(argv: &Argv) -> Program {
    Program {
        argv: argv.0.clone(),
        environment: BTreeMap::new(),
        directory: None,
        user: None,
        timeout: LOOK_TIMEOUT,
    }
}

/// For texts: the words as they are, those with spaces in quotes.
pub(super) fn in_words(argv: &[String]) -> String {
    let word = |word: &String| {
        if word.is_empty() || word.contains(char::is_whitespace) {
            format!("{word:?}")
        } else {
            word.clone()
        }
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

//! What fails, for the log: said when it begins and when it is over, and not at each scrape. A reason that changes
//! meanwhile is not said: it may have a number in it that is another one each time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What failed last.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<BTreeSet<String>>);

/// Things that fail at a time; of more, nobody reads.
const MOST: usize = 100;

impl Complaints {
    /// Says what changed since the last time.
    pub(crate) fn tell(&self, now: impl IntoIterator<Item = (String, String)>) {
        let now: BTreeMap<String, String> = now.into_iter().take(MOST).collect();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, why) in changed(&last, &now) {
            match why {
                Some(why) => tracing::warn!("{what}: {why}"),
                None => tracing::info!("{what}: well again"),
            }
        }
        *last = now.into_keys().collect();
    }
}

/// With why it fails now, if it does.
fn changed<'a>(
    last: &'a BTreeSet<String>,
    now: &'a BTreeMap<String, String>,
) -> Vec<(&'a str, Option<&'a str>)> {
    let over = last.iter().filter(|what| !now.contains_key(*what));
    let over = over.map(|what| (what.as_str(), None));
    let new = now.iter().filter(|(what, _)| !last.contains(*what));
    let new = new.map(|(what, why)| (what.as_str(), Some(why.as_str())));
    over.chain(new).collect()
}

/// An error with what caused it.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_said_once() {
        let last = ["a", "b"].map(str::to_owned).into();
        let now = [("b", "x"), ("c", "y")].map(|(what, why)| (what.to_owned(), why.to_owned()));
        let now = now.into();
        assert_eq!(changed(&last, &now), [("a", None), ("c", Some("y"))]);
        let last = now.keys().cloned().collect();
        assert!(changed(&last, &now).is_empty());
    }

    #[test]
    fn causes_are_said_too() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = crate::roots::ReadError::new("/proc/x", source);
        assert_eq!(reason(&error), "cannot read /proc/x: entity not found");
    }
}

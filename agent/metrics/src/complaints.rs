//! What fails, for the log: said when it begins and when it is over, and not at each scrape.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What failed last, and why.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<BTreeMap<String, String>>);

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
        *last = now;
    }
}

/// With why it fails now, if it does.
fn changed<'a>(
    last: &'a BTreeMap<String, String>,
    now: &'a BTreeMap<String, String>,
) -> Vec<(&'a str, Option<&'a str>)> {
    let over = last.keys().filter(|what| !now.contains_key(*what));
    let over = over.map(|what| (what.as_str(), None));
    let new = now
        .iter()
        .filter(|(what, why)| last.get(*what) != Some(why));
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
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let pairs = pairs.iter();
            pairs
                .map(|(what, why)| ((*what).to_owned(), (*why).to_owned()))
                .collect()
        };
        let (first, second) = (
            map(&[("a", "x"), ("b", "y"), ("c", "z")]),
            map(&[("b", "y"), ("c", "other"), ("d", "new")]),
        );
        let expected = [("a", None), ("c", Some("other")), ("d", Some("new"))];
        assert_eq!(changed(&first, &second), expected);
        assert!(changed(&second, &second).is_empty());
    }

    #[test]
    fn causes_are_said_too() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = crate::roots::ReadError::new("/proc/x", source);
        assert_eq!(reason(&error), "cannot read /proc/x: entity not found");
    }
}

//! What was made of the kernel's words. They are the same at each scrape and in the same order, so that finding a thing
//! again is one comparison: a pattern is asked, and a name is put together, once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use brine_exposition::Words;

/// By words.
#[derive(Debug)]
pub(crate) struct Remembered<T>(Mutex<Vec<(Box<str>, T)>>);

/// A kernel has some hundreds. When there are more, all are forgotten.
const WORDS: usize = 4096;

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Remembered<T> {
    /// For one scrape.
    pub(crate) fn recall(&self) -> Recall<'_, T> {
        Recall {
            known: self.0.lock().unwrap_or_else(PoisonError::into_inner),
            next: 0,
        }
    }
}

/// One scrape's way through the words.
pub(crate) struct Recall<'a, T> {
    known: MutexGuard<'a, Vec<(Box<str>, T)>>,
    /// Where the next words are expected.
    next: usize,
}

impl<T> Recall<'_, T> {
    /// What was made of these words, or is now.
    pub(crate) fn of(&mut self, words: &str, make: impl FnOnce(&str) -> T) -> &T {
        let is_it = |(known, _): &(Box<str>, T)| **known == *words;
        let place = if self.known.get(self.next).is_some_and(is_it) {
            self.next
        } else if let Some(place) = self.known.iter().position(is_it) {
            place
        } else {
            if self.known.len() >= WORDS {
                self.known.clear();
            }
            let place = self.next.min(self.known.len());
            self.known.insert(place, (words.into(), make(words)));
            place
        };
        self.next = place + 1;
        &self.known[place].1
    }
}

/// A family whose name is made of the kernel's words.
#[derive(Debug, Clone)]
pub(crate) struct Title {
    pub(crate) name: Words,
    pub(crate) help: Words,
}

impl Title {
    pub(crate) fn new(name: String, help: String) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_made_once_wherever_their_words_stand() {
        let remembered = Remembered::default();
        let mut made = Vec::new();
        for words in [
            ["a", "b", "c"],
            ["a", "b", "c"],
            ["c", "x", "a"],
            ["x", "b", "y"],
        ] {
            let mut recall = remembered.recall();
            for word in words {
                let length = recall.of(word, |word| {
                    made.push(word.to_owned());
                    word.to_uppercase()
                });
                assert_eq!(*length, word.to_uppercase());
            }
        }
        assert_eq!(made, ["a", "b", "c", "x", "y"]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let remembered = Remembered::default();
        let mut recall = remembered.recall();
        for number in 0..3 * WORDS {
            assert_eq!(*recall.of(&number.to_string(), |_| number), number);
        }
        assert!(recall.known.len() <= WORDS);
    }
}

//! What was made of the kernel's words. They are the same at each scrape and in the same order, so that finding a thing
//! again is one comparison: a pattern is asked, and a name is put together, once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use brine_exposition::Words;

/// By words.
#[derive(Debug)]
pub(crate) struct Remembered<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    known: Vec<(Box<str>, T)>,
    /// Where the next words are expected; behind the last of a scrape come the first of the next.
    next: usize,
}

/// A kernel has some hundreds. When there are more, all are forgotten.
const WORDS: usize = 4096;

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(State {
            known: Vec::new(),
            next: 0,
        }))
    }
}

impl<T> Remembered<T> {
    /// To ask for several.
    pub(crate) fn recall(&self) -> Recall<'_, T> {
        Recall(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) struct Recall<'a, T>(MutexGuard<'a, State<T>>);

impl<T> Recall<'_, T> {
    /// What was made of these words, or is now.
    pub(crate) fn of(&mut self, words: &str, make: impl FnOnce(&str) -> T) -> &T {
        let State { known, next } = &mut *self.0;
        if *next >= known.len() {
            *next = 0;
        }
        let (before, after) = known.split_at(*next);
        let is_it = |(known, _): &(Box<str>, T)| **known == *words;
        let place = if let Some(further) = after.iter().position(is_it) {
            *next + further
        } else if let Some(place) = before.iter().position(is_it) {
            place
        } else {
            if known.len() >= WORDS {
                known.clear();
                *next = 0;
            }
            known.insert(*next, (words.into(), make(words)));
            *next
        };
        *next = place + 1;
        &known[place].1
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
        assert!(recall.0.known.len() <= WORDS);
    }
}

//! What was made of words that come again at each scrape, and in the same order most of the time, so that finding a
//! thing again is one comparison: a pattern is asked, and a name is put together, once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use brine_exposition::Words;

/// By words. Those that were asked for last are first, in their order; those that nobody asks for sink to the end, where
/// the first are forgotten when there are many.
#[derive(Debug)]
pub(crate) struct Remembered<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    known: Vec<(Box<str>, T)>,
    /// Where the next words are expected, or else at the beginning.
    next: usize,
}

/// A kernel has some hundreds of them. Where there are more, as mount points, what is left over is made each time.
const WORDS: usize = 1024;

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
        let is_it = |(known, _): &(Box<str>, T)| **known == *words;
        let place = if known.get(*next).is_some_and(is_it) {
            *next
        } else if known.first().is_some_and(is_it) {
            0
        } else if let Some(place) = known.iter().position(is_it) {
            // It has moved. What was between is asked for later, or never again.
            if place > *next {
                known[*next..=place].rotate_right(1);
                *next
            } else {
                place
            }
        } else {
            known.truncate(WORDS - 1);
            let place = (*next).min(known.len());
            known.insert(place, (words.into(), make(words)));
            place
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
    fn what_nobody_asks_for_is_forgotten_first() {
        let remembered = Remembered::default();
        let mut made = 0;
        for scrape in 0..2 * WORDS {
            let mut recall = remembered.recall();
            // Now and then the order changes, too.
            let live = (0..10).map(|number| (number + scrape / 100) % 10);
            for number in live {
                recall.of(&number.to_string(), |_| made += 1);
            }
            recall.of(&format!("once {scrape}"), |_| ());
        }
        assert_eq!(made, 10);
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

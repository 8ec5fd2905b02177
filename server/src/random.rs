//! Randomness for secrets, from the same library as the rest of the cryptography.

use aws_lc_rs::rand;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` letters and digits, each equally likely.
#[must_use]
pub(crate) fn text(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 248 is the greatest multiple of 62 in a byte: above it, some would be likelier.
        let fair = bytes::<64>().into_iter().filter(|byte| *byte < 248);
        text.extend(
            fair.map(|b| char::from(ALPHABET[usize::from(b) % 62]))
                .take(length - text.len()),
        );
    }
    text
}

/// `N` random bytes.
///
/// # Panics
/// The system has no randomness to give: going on would make guessable keys.
#[must_use]
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "see above")]
    rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn letters_and_digits_never_twice_the_same() {
        let one = super::text(32);
        assert_eq!(one.len(), 32);
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(one, super::text(32));
        assert_eq!(super::text(100).len(), 100);
    }
}

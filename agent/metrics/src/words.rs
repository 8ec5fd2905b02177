//! Numbers out of the kernel's texts.

use std::str::FromStr;

use crate::collector::CollectError;
use crate::roots::Roots;

/// A decimal number; `file` is said where it is none.
pub(crate) fn number<T: FromStr>(file: &str, word: Option<&str>) -> Result<T, CollectError> {
    let found = word.and_then(|word| word.parse().ok());
    found.ok_or_else(|| not_a_number(file, word))
}

/// A hexadecimal number without `0x`.
pub(crate) fn hexadecimal(file: &str, word: Option<&str>) -> Result<u64, CollectError> {
    let found = word.and_then(|word| u64::from_str_radix(word, 16).ok());
    found.ok_or_else(|| not_a_number(file, word))
}

/// A file under procfs that is one number.
pub(crate) fn proc_number(roots: &Roots, file: &str) -> Result<u64, CollectError> {
    number(file, Some(roots.proc(file)?.trim()))
}

fn not_a_number(file: &str, word: Option<&str>) -> CollectError {
    match word {
        Some(word) => CollectError::malformed(file, format!("\"{word}\" is not a number")),
        None => CollectError::malformed(file, "a number is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_said_with_its_file() {
        assert_eq!(number::<i64>("net/x", Some("-7")).unwrap(), -7);
        assert_eq!(hexadecimal("net/x", Some("0000001f")).unwrap(), 31);
        let error = number::<u64>("net/x", Some("-7")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "net/x is not understood: \"-7\" is not a number"
        );
        let error = hexadecimal("net/x", None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "net/x is not understood: a number is missing"
        );
    }
}

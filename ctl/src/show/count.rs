//! Numbers with their nouns.

/// `1 node`, `5 nodes`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// The parts that are not zero: `3 to change, 2 in sync`.
#[must_use]
pub fn parts(parts: &[(usize, &str)]) -> String {
    let shown = parts.iter().filter(|(number, _)| *number > 0);
    shown
        .map(|(number, text)| format!("{number} {text}"))
        .collect::<Vec<_>>()
        .join(", ")
}

//! Names and texts in SQL, whatever is in them.

/// PostgreSQL cuts longer names off, and then means another.
const LONGEST: usize = 63;

/// A name that is taken as it is, or why it cannot be one.
pub(super) fn checked(name: &str) -> Result<String, String> {
    if name.is_empty() || name.len() > LONGEST || name.contains('\0') {
        let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
        return Err(format!(
            "`{shown}` is no name in PostgreSQL: expected 1 to {LONGEST} bytes"
        ));
    }
    Ok(name.to_owned())
}

/// `"a ""name"""`
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'it''s'`; with a backslash in it, in the form that takes it as one under any setting.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// A value within PGOPTIONS, where a space ends one and a backslash keeps the next character.
pub(super) fn option(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        if c == '\\' || c.is_whitespace() {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names() {
        assert_eq!(
            identifier("a\"; DROP ROLE b; --"),
            "\"a\"\"; DROP ROLE b; --\""
        );
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\'; --"), "E'\\\\''; --'");
        assert_eq!(option("a b\\c\t"), "a\\ b\\\\c\\\t");
        assert!(checked(&"a".repeat(64)).is_err() && checked("").is_err());
        assert!(checked("é\n").is_ok() && checked("a\0").is_err());
    }
}

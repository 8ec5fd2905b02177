//! The operating system, from os-release.

use std::collections::HashMap;
use std::path::Path;

use brine_model::facts::Os;

pub(super) fn collect(root: &Path) -> Os {
    let places = ["etc/os-release", "usr/lib/os-release"];
    let text = places
        .iter()
        .find_map(|place| std::fs::read_to_string(root.join(place)).ok());
    parse(&text.unwrap_or_default())
}

fn parse(text: &str) -> Os {
    let fields: HashMap<&str, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), unquote(value.trim())))
        .collect();
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let id = field("ID");
    let like = field("ID_LIKE");
    let debian = id == "debian" || like.split(' ').any(|word| word == "debian");
    Os {
        family: if debian {
            "debian".to_owned()
        } else {
            id.clone()
        },
        id,
        version: field("VERSION_ID"),
        name: field("PRETTY_NAME"),
    }
}

/// Quotes and backslashes are those of the shell, as far as os-release(5) allows them.
fn unquote(value: &str) -> String {
    let inner = ['"', '\'']
        .iter()
        .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' {
            characters.next()
        } else {
            Some(character)
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_what_derives_from_it() {
        let debian =
            parse("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n");
        assert_eq!(
            (debian.family.as_str(), debian.version.as_str()),
            ("debian", "12")
        );
        assert_eq!(debian.name, "Debian GNU/Linux 12 (bookworm)");
        let mint = parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID='21'\n");
        assert_eq!(
            (mint.family.as_str(), mint.id.as_str()),
            ("debian", "linuxmint")
        );
        assert_eq!(parse("ID=fedora\n").family, "fedora");
        assert_eq!(parse(""), Os::default());
        assert_eq!(unquote("\"a \\\"b\\\"\""), "a \"b\"");
    }
}

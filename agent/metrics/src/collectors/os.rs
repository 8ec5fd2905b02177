//! The distribution, as its release file has it.

use std::collections::HashMap;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::{self, Roots};

pub(super) const DEFINITION: Definition = Definition {
    name: "os",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// The first one that is there counts.
const FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// A label and the field that it is.
const LABELS: [(&str, &str); 12] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
    ("version_id", "VERSION_ID"),
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    for file in FILES {
        match roots::read(&roots.root(file)) {
            Ok(text) => {
                tell(&fields(file, &text)?, out);
                return Ok(());
            }
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CollectError::NoData)
}

fn tell(fields: &HashMap<&str, String>, out: &mut Exposition) {
    let field = |name| fields.get(name).map_or("", String::as_str);
    out.gauge(
        "node_os_info",
        "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, pretty_name, variant, variant_id, version, version_codename, version_id.",
    )
    .add(&LABELS.map(|(label, name)| (label, field(name))), 1_u64);
    if let Some(version) = major_and_minor(field("VERSION_ID")) {
        let labels = [
            ("id", field("ID")),
            ("id_like", field("ID_LIKE")),
            ("name", field("NAME")),
        ];
        out.gauge(
            "node_os_version",
            "Metric containing the major.minor part of the OS version.",
        )
        .add(&labels, version);
    }
}

/// What of a version is one number; none for 0, as for no version.
fn major_and_minor(version: &str) -> Option<f64> {
    let mut points = 0;
    let end = version.find(|letter: char| {
        points += i32::from(letter == '.');
        !(letter.is_ascii_digit() || letter == '.' && points == 1)
    });
    let number = version[..end.unwrap_or(version.len())].parse::<f64>().ok();
    number.filter(|number| *number > 0.0 && !version.starts_with('.'))
}

/// Lines of `KEY=value`, quoted as a shell would have them; what comes last of a key counts.
fn fields<'a>(file: &str, text: &'a str) -> Result<HashMap<&'a str, String>, CollectError> {
    let mut fields = HashMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let malformed = || CollectError::malformed(file, line);
        let (key, value) = line.split_once('=').ok_or_else(malformed)?;
        let key = key.trim();
        let key = key.strip_prefix("export ").unwrap_or(key);
        if !key.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_') {
            return Err(malformed());
        }
        fields.insert(key, unquoted(value.trim()).ok_or_else(malformed)?);
    }
    Ok(fields)
}

/// A value without its quotes and the comment behind it; none where a quote has no end or an escape no meaning.
fn unquoted(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    // Where the value ends if a comment follows: blanks before it do not count.
    let mut end = 0;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (_, '\0'..='\x1f') => return None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '#') => {
                value.truncate(end);
                break;
            }
            (None, ' ') => {
                value.push(' ');
                continue;
            }
            (Some(open), _) if letter == open => quote = None,
            (Some('"'), '\\') => value.push(match letters.next()? {
                'n' => '\n',
                't' => '\t',
                same @ ('"' | '\\') => same,
                _ => return None,
            }),
            _ => value.push(letter),
        }
        end = value.len();
    }
    quote.is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn the_first_file_that_is_there() {
        let usual = (
            "root/usr/lib/os-release",
            "# comment\n\nID=salt\nNAME=\"Salt \\\"Linux\\\"\"\nVERSION_ID='7.1.2' # point\nID_LIKE = sea water  # two\n",
        );
        let text = collected(&DEFINITION, &Machine::new(&[usual])).unwrap();
        assert!(
            text.contains(
                "\nnode_os_info{build_id=\"\",id=\"salt\",id_like=\"sea water\",image_id=\"\",image_version=\"\",name=\"Salt \\\"Linux\\\"\",pretty_name=\"\",variant=\"\",variant_id=\"\",version=\"\",version_codename=\"\",version_id=\"7.1.2\"} 1\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("\nnode_os_version{id=\"salt\",id_like=\"sea water\",name=\"Salt \\\"Linux\\\"\"} 7.1\n"),
            "{text}"
        );
        let other = (
            "root/etc/os-release",
            "export ID=other\nVERSION_ID=rolling\n",
        );
        let text = collected(&DEFINITION, &Machine::new(&[usual, other])).unwrap();
        assert!(text.contains(",id=\"other\","), "{text}");
        assert!(!text.contains("node_os_version"), "{text}");
    }

    #[test]
    fn without_a_file_there_is_nothing_and_odd_ones_are_failures() {
        let nothing = collected(&DEFINITION, &Machine::new(&[]));
        assert!(matches!(nothing, Err(CollectError::NoData)));
        for odd in [
            "ID",
            "=x",
            "1A=x",
            "ID=\"x",
            "ID='x",
            "ID=\"\\$x\"",
            "ID=a\tb",
        ] {
            let machine = Machine::new(&[("root/etc/os-release", odd)]);
            let odd = collected(&DEFINITION, &machine);
            assert!(matches!(odd, Err(CollectError::Malformed { .. })));
        }
    }

    #[test]
    fn versions_are_numbers_as_far_as_they_go() {
        let cases = [
            ("12", Some(12.0)),
            ("22.04.3", Some(22.04)),
            ("9.", Some(9.0)),
            ("12a", Some(12.0)),
            ("0", None),
            (".5", None),
            ("", None),
            ("sid", None),
        ];
        for (version, number) in cases {
            assert_eq!(major_and_minor(version), number, "{version}");
        }
    }
}

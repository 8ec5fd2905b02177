//! The text format, read as strictly as Prometheus' own libraries do: one line that is not understood fails the file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use brine_exposition::Kind;

pub(super) type Labels = BTreeMap<String, String>;

#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    /// None where the file has no word of it.
    pub(super) help: Option<String>,
    pub(super) kind: Kind,
    pub(super) metrics: Vec<Metric>,
}

#[derive(Debug)]
pub(super) struct Metric {
    pub(super) labels: Labels,
    pub(super) reading: Reading,
}

#[derive(Debug)]
pub(super) enum Reading {
    Value(f64),
    /// Quantiles ascend, and are there once.
    Summary {
        quantiles: Vec<(f64, f64)>,
        sum: f64,
        count: u64,
    },
    /// Bounds ascend, and are there once.
    Histogram {
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    },
}

/// Families of one file, without those that have no samples.
pub(super) fn families(bytes: &[u8]) -> Result<Vec<Family>, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut parser = Parser {
        // Comments need not be text.
        replaced: matches!(text, Cow::Owned(_)),
        ..Parser::default()
    };
    let mut rest = &*text;
    let mut number = 0;
    while let Some((line, next)) = rest.split_once('\n') {
        number += 1;
        rest = next;
        parser
            .line(line.trim_start_matches(BLANK))
            .map_err(|why| format!("line {number}: {why}"))?;
    }
    if !rest.trim_matches(BLANK).is_empty() {
        return Err("the last line has no end".to_owned());
    }
    let drafts = parser.drafts.into_iter();
    let filled = drafts.filter(|draft| !draft.metrics.is_empty());
    Ok(filled
        .map(|draft| Family {
            name: draft.name,
            help: draft.help,
            kind: draft.kind.unwrap_or(Kind::Untyped),
            metrics: draft.metrics,
        })
        .collect())
}

const BLANK: [char; 2] = [' ', '\t'];

#[derive(Default)]
struct Parser {
    /// Some bytes were no text.
    replaced: bool,
    drafts: Vec<Draft>,
    places: HashMap<String, usize>,
}

struct Draft {
    name: String,
    help: Option<String>,
    /// It is fixed by the first sample.
    kind: Option<Kind>,
    metrics: Vec<Metric>,
    /// Summaries and histograms are several lines each.
    parts: HashMap<Labels, usize>,
}

/// Which part of a summary or histogram a line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Other,
    Sum,
    Count,
}

impl Parser {
    /// One line without blanks before it.
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment.trim_start_matches(BLANK)),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let Some((keyword, rest)) = comment.split_once(BLANK) else {
            return Ok(());
        };
        if keyword != "HELP" && keyword != "TYPE" {
            return Ok(());
        }
        let rest = rest.trim_start_matches(BLANK);
        let (name, rest) = split_name(rest, true);
        if rest.is_empty() {
            return Ok(());
        }
        if !rest.starts_with(BLANK) {
            return Err("a comment with an odd name".to_owned());
        }
        let rest = rest.trim_start_matches(BLANK);
        let (place, _) = self.place(name);
        let draft = &mut self.drafts[place];
        if rest.is_empty() {
            return Ok(());
        }
        if keyword == "HELP" {
            if draft.help.is_some() {
                return Err(format!("a second help of {name}"));
            }
            draft.help = Some(unescaped(rest, false)?);
        } else {
            if draft.kind.is_some() {
                return Err(format!("a second type of {name}, or one after its samples"));
            }
            draft.kind = Some(kind(rest).ok_or_else(|| format!("unknown type {rest}"))?);
        }
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let (name, rest) = split_name(line, true);
        if name.is_empty() {
            return Err("an odd name".to_owned());
        }
        let (place, part) = self.place(name);
        let draft = &mut self.drafts[place];
        let kind = *draft.kind.get_or_insert(Kind::Untyped);
        // A summary's or histogram's own label, which tells its lines apart.
        let own = match kind {
            Kind::Summary => Some("quantile"),
            Kind::Histogram => Some("le"),
            _ => None,
        };
        let mut rest = rest.trim_start_matches(BLANK);
        let mut labels = Labels::new();
        let mut bound = f64::NAN;
        if let Some(inside) = rest.strip_prefix('{') {
            let mut inside = inside.trim_start_matches(BLANK);
            rest = loop {
                if let Some(rest) = inside.strip_prefix('}') {
                    break rest.trim_start_matches(BLANK);
                }
                let (label, value, behind) = label(inside)?;
                if self.replaced && value.contains(char::REPLACEMENT_CHARACTER) {
                    return Err(format!("the value of {label} is no text"));
                }
                if own == Some(label) {
                    bound = float(&value).ok_or_else(|| format!("an odd {label}: {value}"))?;
                } else if label == "__name__" || labels.insert(label.to_owned(), value).is_some() {
                    return Err(format!("the label {label} is there twice, or reserved"));
                }
                inside = match behind.strip_prefix(',') {
                    Some(next) => next.trim_start_matches(BLANK),
                    None if behind.starts_with('}') => behind,
                    None => return Err("labels without an end".to_owned()),
                };
            };
        }
        // Behind the value, there may be a time: but whose clock it would be is not known.
        let value = float(rest).ok_or_else(|| format!("an odd value: {rest}"))?;
        draft.add(kind, labels, part, bound, value);
        Ok(())
    }

    /// Where the family of a line is; it is begun where there is none.
    fn place(&mut self, name: &str) -> (usize, Part) {
        if let Some(place) = self.places.get(name) {
            return (*place, Part::Other);
        }
        let suffixes = [
            ("_count", Part::Count),
            ("_sum", Part::Sum),
            ("_bucket", Part::Other),
        ];
        for (suffix, part) in suffixes {
            let Some(stem) = name.strip_suffix(suffix).filter(|stem| !stem.is_empty()) else {
                continue;
            };
            let Some(place) = self.places.get(stem).copied() else {
                continue;
            };
            match self.drafts[place].kind {
                Some(Kind::Histogram) => return (place, part),
                Some(Kind::Summary) if part != Part::Other => return (place, part),
                _ => {}
            }
        }
        let place = self.drafts.len();
        self.places.insert(name.to_owned(), place);
        self.drafts.push(Draft {
            name: name.to_owned(),
            help: None,
            kind: None,
            metrics: Vec::new(),
            parts: HashMap::new(),
        });
        (place, Part::Other)
    }
}

impl Draft {
    fn add(&mut self, kind: Kind, labels: Labels, part: Part, bound: f64, value: f64) {
        let empty = match kind {
            Kind::Summary => Reading::Summary {
                quantiles: Vec::new(),
                sum: 0.0,
                count: 0,
            },
            Kind::Histogram => Reading::Histogram {
                buckets: Vec::new(),
                sum: 0.0,
                count: 0,
            },
            _ => {
                let reading = Reading::Value(value);
                self.metrics.push(Metric { labels, reading });
                return;
            }
        };
        let place = match self.parts.get(&labels) {
            Some(place) => *place,
            None => {
                self.parts.insert(labels.clone(), self.metrics.len());
                self.metrics.push(Metric {
                    labels,
                    reading: empty,
                });
                self.metrics.len() - 1
            }
        };
        match (&mut self.metrics[place].reading, part) {
            (Reading::Value(_), _) => {}
            (Reading::Summary { sum, .. } | Reading::Histogram { sum, .. }, Part::Sum) => {
                *sum = value;
            }
            (Reading::Summary { count, .. } | Reading::Histogram { count, .. }, Part::Count) => {
                *count = whole(value);
            }
            // A line without its label says nothing.
            (_, Part::Other) if bound.is_nan() => {}
            (Reading::Summary { quantiles, .. }, Part::Other) => set(quantiles, bound, value),
            (Reading::Histogram { buckets, .. }, Part::Other) => set(buckets, bound, whole(value)),
        }
    }
}

fn set<T>(sorted: &mut Vec<(f64, T)>, bound: f64, value: T) {
    match sorted.binary_search_by(|(known, _)| known.total_cmp(&bound)) {
        Ok(place) => sorted[place].1 = value,
        Err(place) => sorted.insert(place, (bound, value)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are written as floats, too"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

/// The name at the beginning, and what is behind it; colons are for families only.
fn split_name(text: &str, colons: bool) -> (&str, &str) {
    let allowed = |(at, letter): (usize, char)| {
        letter.is_ascii_alphabetic()
            || letter == '_'
            || colons && letter == ':'
            || at > 0 && letter.is_ascii_digit()
    };
    let end = text.char_indices().find(|place| !allowed(*place));
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

/// `name="value"`, and what is behind it without blanks.
fn label(text: &str) -> Result<(&str, String, &str), String> {
    let (name, rest) = split_name(text, false);
    if name.is_empty() {
        return Err("an odd label".to_owned());
    }
    let value = rest
        .trim_start_matches(BLANK)
        .strip_prefix('=')
        .and_then(|rest| rest.trim_start_matches(BLANK).strip_prefix('"'))
        .ok_or_else(|| format!("the label {name} has no value"))?;
    let mut escaped = false;
    let end = value.char_indices().find(|(_, letter)| {
        let ends = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        ends
    });
    let (end, _) = end.ok_or_else(|| format!("the value of {name} has no end"))?;
    let rest = value[end + 1..].trim_start_matches(BLANK);
    Ok((name, unescaped(&value[..end], true)?, rest))
}

fn unescaped(text: &str, quotes: bool) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('\\') => plain.push('\\'),
            Some('n') => plain.push('\n'),
            Some('"') if quotes => plain.push('"'),
            _ => return Err("an odd escape sequence".to_owned()),
        }
    }
    Ok(plain)
}

fn kind(word: &str) -> Option<Kind> {
    let kinds = [
        Kind::Counter,
        Kind::Gauge,
        Kind::Histogram,
        Kind::Summary,
        Kind::Untyped,
    ];
    kinds
        .into_iter()
        .find(|kind| kind.word().eq_ignore_ascii_case(word))
}

fn float(word: &str) -> Option<f64> {
    let value: f64 = word.parse().ok()?;
    let odd = if value.is_nan() {
        word.starts_with(['+', '-'])
    } else {
        // Too large is not the same as infinite.
        value.is_infinite() && !word.to_ascii_lowercase().contains("inf")
    };
    (!odd).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_of_a_file() {
        let text = "# a comment\n#HELP\n# HELP odd_total With \\\\ and\\n.\n# TYPE odd_total counter\n\
            \todd_total {a = \"x\\\"y\\\\z\\n\" , b=\"\",} +1.5e3\n\nplain NaN\n# TYPE none gauge\n  ";
        let found = families(text.as_bytes()).unwrap();
        let names: Vec<&str> = found.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names, ["odd_total", "plain"]);
        assert_eq!(found[0].help.as_deref(), Some("With \\ and\n."));
        assert_eq!(
            (found[0].kind, found[1].kind),
            (Kind::Counter, Kind::Untyped)
        );
        assert_eq!(found[0].metrics[0].labels["a"], "x\"y\\z\n");
        assert!(matches!(found[0].metrics[0].reading, Reading::Value(value) if value == 1500.0));
    }

    #[test]
    fn what_is_not_understood_fails() {
        for text in [
            "a 1",
            "a 1 1441205977284\n",
            "a x\n",
            "a\n",
            "a 1e999\n",
            "a 0x1p2\n",
            "a 1\r\n",
            "a 1 \n",
            "a +NaN\n",
            "1a 1\n",
            "é 1\n",
            "{a=\"b\"} 1\n",
            "a{b=\"c\" 1\n",
            "a{b=\"c} 1\n",
            "a{b=c} 1\n",
            "a{b=\"c\",b=\"d\"} 1\n",
            "a{__name__=\"b\"} 1\n",
            "a{b=\"\\x\"} 1\n",
            "# HELP a b\n# HELP a b\n",
            "# HELP a \\x\n",
            "# TYPE a gauge \na 1\n",
            "# TYPE a odd\n",
            "# TYPE a-b gauge\n",
            "a 1\n# TYPE a gauge\n",
            "# TYPE a summary\na{quantile=\"x\"} 1\n",
        ] {
            assert!(families(text.as_bytes()).is_err(), "{text}");
        }
        assert!(families(b"").unwrap().is_empty());
        assert!(families(b"a{b=\"\xff\"} 1\n").is_err());
        assert!(families("a{b=\"\u{fffd}\"} 1\n".as_bytes()).is_ok());
        let found = families(b"# HELP a \xff\na 1\n").unwrap();
        assert_eq!(found[0].help.as_deref(), Some("\u{fffd}"));
    }
}

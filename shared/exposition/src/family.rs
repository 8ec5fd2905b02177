//! Families are gathered in any order and written by name, each with its samples in one place.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::number::Number;

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

impl Kind {
    /// The format's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// Samples of one name.
#[derive(Debug, Clone)]
struct Family {
    name: Cow<'static, str>,
    help: Cow<'static, str>,
    kind: Kind,
    /// Lines.
    samples: String,
}

impl Family {
    fn write(&self, text: &mut String) {
        text.push_str("# HELP ");
        text.push_str(&self.name);
        text.push(' ');
        escape(&self.help, false, text);
        text.push_str("\n# TYPE ");
        text.push_str(&self.name);
        text.push(' ');
        text.push_str(self.kind.word());
        text.push('\n');
        text.push_str(&self.samples);
    }

    fn join(&mut self, other: &Self) {
        if self.kind != other.kind {
            return;
        }
        let known: HashSet<String> = self.samples.lines().map(series).collect();
        let new = other.samples.lines();
        let new: Vec<&str> = new.filter(|line| !known.contains(&series(line))).collect();
        for line in new {
            self.samples.push_str(line);
            self.samples.push('\n');
        }
    }
}

/// A line without its value, which has no space in it.
fn series(line: &str) -> String {
    let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
    series.to_owned()
}

/// One answer to a scrape, or a part of one.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    families: Vec<Family>,
    /// Where the next name is expected: families come in the same order for each device.
    next: usize,
    /// By name, once there are many.
    places: HashMap<Cow<'static, str>, usize>,
    /// Of other parts, as they came.
    absorbed: Vec<Family>,
}

/// Up to so many families are found faster by looking at all of them.
const FEW: usize = 64;

impl Exposition {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The family of this name. Whoever names it first says what it is: kind and help of later calls are not looked at.
    pub fn family(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        help: impl Into<Cow<'static, str>>,
    ) -> Samples<'_> {
        let name = name.into();
        let place = self.place(&name).unwrap_or_else(|| {
            let place = self.families.len();
            if place >= FEW {
                self.index();
                self.places.insert(name.clone(), place);
            }
            self.families.push(Family {
                name,
                help: help.into(),
                kind,
                samples: String::new(),
            });
            place
        });
        self.next = place + 1;
        Samples(&mut self.families[place])
    }

    fn place(&self, name: &str) -> Option<usize> {
        let is_it = |family: &Family| family.name == name;
        if self.families.get(self.next).is_some_and(is_it) {
            return Some(self.next);
        }
        // Often the same one again.
        let before = self.next.checked_sub(1)?;
        if self.families.get(before).is_some_and(is_it) {
            return Some(before);
        }
        if self.families.len() <= FEW {
            self.families.iter().position(is_it)
        } else {
            self.places.get(name).copied()
        }
    }

    fn index(&mut self) {
        if self.places.is_empty() {
            let names = self.families.iter().enumerate();
            self.places = names
                .map(|(place, family)| (family.name.clone(), place))
                .collect();
        }
    }

    pub fn gauge(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
    ) -> Samples<'_> {
        self.family(name, Kind::Gauge, help)
    }

    pub fn counter(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
    ) -> Samples<'_> {
        self.family(name, Kind::Counter, help)
    }

    pub fn untyped(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
    ) -> Samples<'_> {
        self.family(name, Kind::Untyped, help)
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    /// Takes over another part's samples. Of a family that is in both, what does not fit is left out: another kind,
    /// and series that are told.
    pub fn absorb(&mut self, part: Self) {
        self.absorbed.extend(part.families);
        self.absorbed.extend(part.absorbed);
    }

    /// The whole as text, by name; families without samples are left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut families: Vec<&Family> = self.families.iter().chain(&self.absorbed).collect();
        families.retain(|family| !family.samples.is_empty());
        // Stable: of one name, the first counts.
        families.sort_by(|one, other| one.name.cmp(&other.name));
        let size = families
            .iter()
            .map(|family| family.samples.len() + 2 * family.name.len() + family.help.len() + 32);
        let mut text = String::with_capacity(size.sum());
        for same in families.chunk_by(|one, other| one.name == other.name) {
            if let [family] = same {
                family.write(&mut text);
            } else if let [first, others @ ..] = same {
                let mut family = Family::clone(first);
                others.iter().for_each(|other| family.join(other));
                family.write(&mut text);
            }
        }
        text
    }
}

/// Where samples of one family are added.
#[derive(Debug)]
pub struct Samples<'a>(&'a mut Family);

impl Samples<'_> {
    /// A sample: the same labels come once in a family.
    pub fn add(&mut self, labels: &[(&str, &str)], value: impl Number) -> &mut Self {
        self.suffixed("", labels, value)
    }

    /// A sample of a histogram or summary: `_bucket`, `_sum` and `_count` behind the name.
    pub fn suffixed(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Number,
    ) -> &mut Self {
        let Family { name, samples, .. } = &mut *self.0;
        samples.reserve(name.len() + suffix.len() + 32 + 24 * labels.len());
        samples.push_str(name);
        samples.push_str(suffix);
        for (place, (label, word)) in labels.iter().enumerate() {
            samples.push(if place == 0 { '{' } else { ',' });
            samples.push_str(label);
            samples.push_str("=\"");
            escape(word, true, samples);
            samples.push('"');
        }
        if !labels.is_empty() {
            samples.push('}');
        }
        samples.push(' ');
        value.write(samples);
        samples.push('\n');
        self
    }
}

fn escape(word: &str, quotes: bool, text: &mut String) {
    if !word.contains(['\\', '\n', '"']) {
        text.push_str(word);
        return;
    }
    for letter in word.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_by_name_and_samples_stay_together() {
        let mut all = Exposition::new();
        all.gauge("node_b", "B.").add(&[], 1_u64);
        all.counter("node_a_total", "A \"quoted\"\nline\\.")
            .add(&[("device", "eth0")], 2.5)
            .add(&[("device", "we\"ird\\\n"), ("more", "")], 0_u64);
        let mut part = Exposition::new();
        part.gauge("node_b", "B.").add(&[("x", "y")], 3_u64);
        part.gauge("node_none", "Has no sample.");
        part.gauge("node_a_total", "Is another thing.")
            .add(&[], 9_u64);
        all.absorb(part.clone());
        all.absorb(part);
        assert_eq!(
            all.text(),
            r#"# HELP node_a_total A "quoted"\nline\\.
# TYPE node_a_total counter
node_a_total{device="eth0"} 2.5
node_a_total{device="we\"ird\\\n",more=""} 0
# HELP node_b B.
# TYPE node_b gauge
node_b 1
node_b{x="y"} 3
"#
        );
    }

    #[test]
    fn many_families_are_found_as_well() {
        let mut all = Exposition::new();
        for round in 0..2_u64 {
            for number in 0..(2 * FEW) {
                let labels = [("round", if round == 0 { "a" } else { "b" })];
                all.gauge(format!("family_{number:03}"), "One of many.")
                    .add(&labels, round);
            }
        }
        assert!(all.has("family_000") && all.has("family_127") && !all.has("family_128"));
        let text = all.text();
        assert_eq!(text.matches("# TYPE").count(), 2 * FEW);
        assert!(text.contains("family_100{round=\"a\"} 0\nfamily_100{round=\"b\"} 1\n"));
    }

    #[test]
    fn histograms_have_suffixes() {
        let mut all = Exposition::new();
        all.family("wait_seconds", Kind::Histogram, "Waiting.")
            .suffixed("_bucket", &[("le", "+Inf")], 1_u64)
            .suffixed("_sum", &[], 0.5)
            .suffixed("_count", &[], 1_u64);
        assert_eq!(
            all.text(),
            "# HELP wait_seconds Waiting.\n# TYPE wait_seconds histogram\nwait_seconds_bucket{le=\"+Inf\"} 1\nwait_seconds_sum 0.5\nwait_seconds_count 1\n"
        );
    }
}

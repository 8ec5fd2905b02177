//! Reads what an exporter says, and compares two of them.

use std::collections::{BTreeMap, BTreeSet};

/// A family by its samples: labels in one order, to the text of the value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) help: String,
    pub(super) kind: String,
    pub(super) samples: BTreeMap<String, String>,
}

pub(super) type Families = BTreeMap<String, Family>;

pub(super) fn parse(text: &str) -> Families {
    let mut families = Families::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            let family = families.entry(name.to_owned()).or_default();
            assert!(family.kind.is_empty(), "{name} comes twice");
            family.kind = kind.to_owned();
            current = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let family = families
                .get_mut(&current)
                .expect("a type before its samples");
            let before = family.samples.insert(sorted(series), value.to_owned());
            assert_eq!(before, None, "{series} comes twice");
        }
    }
    families
}

/// Labels by name: `a{y="1",x="2"}` and `a{x="2",y="1"}` are the same series.
fn sorted(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else {
        return series.to_owned();
    };
    let labels = labels.strip_suffix('}').expect("an end of labels");
    let mut parts = BTreeSet::new();
    let (mut begin, mut quoted, mut escaped) = (0, false, false);
    for (at, letter) in labels.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.insert(&labels[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.insert(&labels[begin..]);
    let parts: Vec<&str> = parts.into_iter().collect();
    format!("{name}{{{}}}", parts.join(","))
}

/// In what `ours` differs from `theirs` but for values: names, help, types, series.
pub(super) fn shape(theirs: &Families, ours: &Families) -> Vec<String> {
    let mut found = Vec::new();
    let names: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
    for name in names {
        let (Some(their), Some(our)) = (theirs.get(name), ours.get(name)) else {
            let side = if ours.contains_key(name) {
                "only ours"
            } else {
                "only theirs"
            };
            found.push(format!("{name}: {side}"));
            continue;
        };
        if (&their.help, &their.kind) != (&our.help, &our.kind) {
            found.push(format!("{name}: {their:?} against {our:?}"));
        }
        let series = |family: &Family| family.samples.keys().cloned().collect::<BTreeSet<_>>();
        for series in series(their).symmetric_difference(&series(our)) {
            found.push(format!("{series}: on one side"));
        }
    }
    found
}

/// Between what each series moved.
#[derive(Debug, Default)]
pub(super) struct Range(BTreeMap<String, (f64, f64)>);

impl Range {
    pub(super) fn add(&mut self, families: &Families) {
        for (series, value) in families.values().flat_map(|family| &family.samples) {
            let value = number(value);
            let known = self.0.entry(series.clone()).or_insert((value, value));
            *known = (known.0.min(value), known.1.max(value));
        }
    }

    /// Series that are outside, or that have never been seen.
    pub(super) fn apart(&self, families: &Families) -> BTreeSet<String> {
        let samples = families.values().flat_map(|family| &family.samples);
        let apart = samples.filter(|(series, value)| {
            let within = self.0.get(*series).is_some_and(|(least, most)| {
                let value = number(value);
                value.is_nan() && least.is_nan() || (*least..=*most).contains(&value)
            });
            !within
        });
        apart.map(|(series, _)| series.clone()).collect()
    }
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}

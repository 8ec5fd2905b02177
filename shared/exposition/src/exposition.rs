//! Families are gathered in any order and written by name, each with its samples in one place.

use std::collections::{HashMap, HashSet};

use crate::family::{Family, Kind, Words};
use crate::number::Number;

/// One answer to a scrape, or a part of one.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    part: Part,
    /// Where the next name is expected: families come in the same order for each device.
    next: usize,
    /// Of other expositions, as they came.
    absorbed: Vec<Part>,
}

/// Lines are kept as they come, in one text: a string for each family would be allocated and moved over and over.
#[derive(Debug, Clone, Default)]
struct Part {
    families: Vec<Family>,
    /// Of the families' names: those that differ have other names.
    marks: Vec<u64>,
    /// Families by name, once there are more than a few.
    places: HashMap<Words, usize>,
    lines: String,
    /// Where lines of one family end, and those of another begin.
    runs: Vec<Run>,
}

/// Up to so many families are found faster by looking at all of them.
const FEW: usize = 64;

/// Bytes: a line is reserved for before it is written.
const SPARE: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Run {
    family: usize,
    /// Of its lines, which begin where the run before ends.
    end: usize,
}

/// How much an exposition holds: the next one of the same things will hold as much, and need not grow into it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    families: usize,
    runs: usize,
    bytes: usize,
}

impl Exposition {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with_room(room: Room) -> Self {
        let part = Part {
            families: Vec::with_capacity(room.families),
            marks: Vec::with_capacity(room.families),
            places: HashMap::new(),
            lines: String::with_capacity(room.bytes),
            runs: Vec::with_capacity(room.runs),
        };
        Self {
            part,
            ..Self::default()
        }
    }

    /// Bytes of its samples.
    #[must_use]
    pub fn size(&self) -> usize {
        let parts = std::iter::once(&self.part).chain(&self.absorbed);
        parts.map(|part| part.lines.len()).sum()
    }

    /// What is added to, absorbed parts left out, with something to spare: numbers grow.
    #[must_use]
    pub fn room(&self) -> Room {
        let Part {
            families,
            lines,
            runs,
            ..
        } = &self.part;
        Room {
            families: families.len(),
            runs: runs.len(),
            bytes: lines.len() + lines.len() / 16 + if lines.is_empty() { 0 } else { SPARE },
        }
    }

    /// The family of this name. Whoever names it first says what it is: kind and help of later calls are not looked at.
    pub fn family(
        &mut self,
        name: impl Into<Words>,
        kind: Kind,
        help: impl Into<Words>,
    ) -> Samples<'_> {
        let name = name.into();
        match self.place(&name) {
            Some(family) => self.samples(family),
            None => self.push(name, kind, help.into()),
        }
    }

    /// The family of this name where there is none yet.
    pub fn new_family(
        &mut self,
        name: impl Into<Words>,
        kind: Kind,
        help: impl Into<Words>,
    ) -> Option<Samples<'_>> {
        let name = name.into();
        match self.place(&name) {
            Some(_) => None,
            None => Some(self.push(name, kind, help.into())),
        }
    }

    fn push(&mut self, name: Words, kind: Kind, help: Words) -> Samples<'_> {
        let part = &mut self.part;
        let place = part.families.len();
        if place == FEW {
            let known = part.families.iter().enumerate();
            part.places = known
                .map(|(place, family)| (family.name.clone(), place))
                .collect();
        }
        if place >= FEW {
            part.places.insert(name.clone(), place);
        } else {
            part.marks.push(mark(&name));
        }
        part.families.push(Family { name, help, kind });
        self.samples(place)
    }

    fn samples(&mut self, family: usize) -> Samples<'_> {
        self.next = family + 1;
        Samples {
            part: &mut self.part,
            family,
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        let families = &self.part.families;
        // The next one, or the same one again.
        for place in [Some(self.next), self.next.checked_sub(1)] {
            let family = place.and_then(|place| families.get(place));
            if family.is_some_and(|family| &*family.name == name) {
                return place;
            }
        }
        if families.len() > FEW {
            return self.part.places.get(name).copied();
        }
        let wanted = mark(name);
        let mut marks = self.part.marks.iter().zip(families);
        marks.position(|(mark, family)| *mark == wanted && &*family.name == name)
    }

    pub fn gauge(&mut self, name: impl Into<Words>, help: impl Into<Words>) -> Samples<'_> {
        self.family(name, Kind::Gauge, help)
    }

    pub fn counter(&mut self, name: impl Into<Words>, help: impl Into<Words>) -> Samples<'_> {
        self.family(name, Kind::Counter, help)
    }

    pub fn untyped(&mut self, name: impl Into<Words>, help: impl Into<Words>) -> Samples<'_> {
        self.family(name, Kind::Untyped, help)
    }

    /// Takes over another part's samples. Of a family that is in both, what does not fit is left out: another kind,
    /// and series that are told.
    pub fn absorb(&mut self, part: Self) {
        self.absorbed.push(part.part);
        self.absorbed.extend(part.absorbed);
    }

    /// The whole as text, by name; families without samples are left out.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = || std::iter::once(&self.part).chain(&self.absorbed);
        let mut pieces = Vec::with_capacity(parts().map(|part| part.runs.len()).sum());
        for (number, part) in parts().enumerate() {
            part.pieces(number, &mut pieces);
        }
        let mut families: Vec<&[Piece<'_>]> = pieces
            .chunk_by(|one, next| one.place == next.place)
            .collect();
        // Stable: of one name, the first counts.
        families.sort_by(|one, other| one[0].family.name.cmp(&other[0].family.name));
        let heads = families
            .iter()
            .map(|pieces| 2 * pieces[0].family.name.len() + pieces[0].family.help.len() + 32);
        let lines = parts().map(|part| part.lines.len());
        let mut text = String::with_capacity(heads.chain(lines).sum());
        for same in families.chunk_by(|one, other| *one[0].family.name == *other[0].family.name) {
            head(same[0][0].family, &mut text);
            if let [pieces] = same {
                pieces.iter().for_each(|piece| text.push_str(piece.lines));
            } else {
                join(same, &mut text);
            }
        }
        text
    }
}

/// The end of a name is what tells it apart, most of the time.
fn mark(name: &str) -> u64 {
    let mut end = [0; 8];
    for (to, from) in end.iter_mut().zip(name.bytes().rev()) {
        *to = from;
    }
    u64::from_ne_bytes(end) ^ name.len() as u64
}

/// Lines of one family that stand together.
struct Piece<'a> {
    family: &'a Family,
    /// Of the part, and of the family in it.
    place: (usize, usize),
    lines: &'a str,
}

impl Part {
    /// Adds all lines: family by family, and those of one in their order.
    fn pieces<'a>(&'a self, number: usize, pieces: &mut Vec<Piece<'a>>) {
        let (first, mut begin) = (pieces.len(), 0);
        for run in &self.runs {
            pieces.push(Piece {
                family: &self.families[run.family],
                place: (number, run.family),
                lines: &self.lines[begin..run.end],
            });
            begin = run.end;
        }
        pieces[first..].sort_by_key(|piece| piece.place);
    }
}

fn head(family: &Family, text: &mut String) {
    text.push_str("# HELP ");
    text.push_str(&family.name);
    text.push(' ');
    escape(&family.help, false, text);
    text.push_str("\n# TYPE ");
    text.push_str(&family.name);
    text.push(' ');
    text.push_str(family.kind.word());
    text.push('\n');
}

/// One family out of several parts.
fn join(same: &[&[Piece<'_>]], text: &mut String) {
    let kind = same[0][0].family.kind;
    let mut told: HashSet<&str> = HashSet::new();
    for pieces in same.iter().filter(|pieces| pieces[0].family.kind == kind) {
        let lines = || pieces.iter().flat_map(|piece| piece.lines.lines());
        for line in lines().filter(|line| !told.contains(series(line))) {
            text.push_str(line);
            text.push('\n');
        }
        told.extend(lines().map(series));
    }
}

/// A line without its value, which has no space in it.
fn series(line: &str) -> &str {
    line.rsplit_once(' ').map_or(line, |(series, _)| series)
}

/// Where samples of one family are added.
#[derive(Debug)]
pub struct Samples<'a> {
    part: &'a mut Part,
    family: usize,
}

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
        let Part {
            families,
            lines,
            runs,
            ..
        } = &mut *self.part;
        let name = &families[self.family].name;
        lines.reserve(name.len() + suffix.len() + 32 + 24 * labels.len());
        lines.push_str(name);
        lines.push_str(suffix);
        for (place, (label, word)) in labels.iter().enumerate() {
            lines.push(if place == 0 { '{' } else { ',' });
            lines.push_str(label);
            lines.push_str("=\"");
            escape(word, true, lines);
            lines.push('"');
        }
        if !labels.is_empty() {
            lines.push('}');
        }
        lines.push(' ');
        value.write(lines);
        lines.push('\n');
        match runs.last_mut() {
            Some(run) if run.family == self.family => run.end = lines.len(),
            _ => runs.push(Run {
                family: self.family,
                end: lines.len(),
            }),
        }
        self
    }
}

fn escape(word: &str, quotes: bool, text: &mut String) {
    if !word
        .bytes()
        .any(|byte| matches!(byte, b'\\' | b'\n' | b'"'))
    {
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
            for number in 0..128 {
                let labels = [("round", if round == 0 { "a" } else { "b" })];
                all.gauge(format!("family_{number:03}"), "One of many.")
                    .add(&labels, round);
            }
        }
        for number in [0, 127] {
            let name = format!("family_{number:03}");
            assert!(all.new_family(name, Kind::Gauge, "").is_none());
        }
        assert!(all.new_family("family_128", Kind::Gauge, "").is_some());
        let text = all.text();
        assert_eq!(text.matches("# TYPE").count(), 128);
        assert!(text.contains("family_100{round=\"a\"} 0\nfamily_100{round=\"b\"} 1\n"));
    }

    #[test]
    fn there_is_room_for_the_same_again() {
        let fill = |mut all: Exposition| {
            all.gauge("a", "A.").add(&[("x", "y")], 1_u64);
            all.gauge("b", "B.").add(&[], 2_u64);
            all
        };
        let first = fill(Exposition::new());
        let room = Exposition::with_room(first.room());
        let (lines, families) = (room.part.lines.capacity(), room.part.families.capacity());
        let second = fill(room);
        assert_eq!(second.text(), first.text());
        assert_eq!(second.part.lines.capacity(), lines);
        assert_eq!(second.part.families.capacity(), families);
        assert_eq!(Exposition::new().room(), Room::default());
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

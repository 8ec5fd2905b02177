//! Metrics that others write to files, told as they are.

mod parse;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use brine_exposition::{Exposition, Kind, Number, Samples};
use nix::fcntl::OFlag;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::complaints::Complaints;
use crate::roots::{Roots, names};
use parse::{Family, Labels, Metric, Reading};

const DIRECTORY: &str = "directory";

/// Bytes of a file.
const LARGEST: u64 = 16 << 20;

pub(super) const DEFINITION: Definition = Definition {
    name: "textfile",
    enabled: true,
    options: &[Opt {
        name: DIRECTORY,
        help: "Where files with metrics are: all that end in .prom. It may be a pattern.",
        default: Value::Text("/var/lib/prometheus/node-exporter"),
    }],
    new: |options| {
        Ok(Box::new(TextFiles {
            directory: options.text(DIRECTORY).to_owned(),
            is_given: options.is_given(DIRECTORY),
            complaints: Complaints::default(),
        }))
    },
};

struct TextFiles {
    directory: String,
    is_given: bool,
    complaints: Complaints,
}

impl Collector for TextFiles {
    fn collect(&self, _: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let mut failed = false;
        let mut complaints = Vec::new();
        let mut files = Vec::new();
        for directory in directories(&self.directory) {
            // A list that is empty for want of the directory is an error here.
            let found = names(&directory).ok().filter(|_| directory.is_dir());
            if found.is_none() {
                failed = true;
                // The usual place is there where somebody uses it.
                if self.is_given {
                    let why = "it is no directory that can be listed".to_owned();
                    complaints.push((shown(&directory), why));
                }
            }
            let found = found.unwrap_or_default().into_iter();
            for name in found.filter(|name| name.ends_with(".prom")) {
                let path = shown(&directory.join(name));
                match load(Path::new(&path)) {
                    Ok((families, modified)) => files.push((path, families, modified)),
                    Err(why) => {
                        complaints.push((path, why));
                        failed = true;
                    }
                }
            }
        }
        complaints.extend(tell(&files, out));
        self.complaints.tell(complaints);
        for (path, _, modified) in &files {
            out.gauge(
                "node_textfile_mtime_seconds",
                "Unixtime mtime of textfiles successfully read.",
            )
            .add(&[("file", path)], *modified);
        }
        out.gauge(
            "node_textfile_scrape_error",
            "1 if there was an error opening or reading a file, 0 otherwise",
        )
        .add(&[], failed);
        Ok(())
    }
}

/// Families of one file, and when it was written; or why not.
fn load(path: &Path) -> Result<(Vec<Family>, i64), String> {
    let told = |error: io::Error| error.to_string();
    // Whoever may write here is not who reads: a pipe would never end, a device never stop.
    let open = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path);
    let file = open.map_err(told)?;
    if !file.metadata().map_err(told)?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    let mut limited = (&file).take(LARGEST + 1);
    limited.read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    let families = parse::families(&bytes)?;
    // After that, so that what is broken does not look fresh.
    let modified = file.metadata().map_err(told)?.mtime();
    Ok((families, modified))
}

/// The path in its shortest form.
fn shown(path: &Path) -> String {
    let mut short = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir
            && matches!(short.components().next_back(), Some(Component::Normal(_)))
        {
            short.pop();
        } else if part != Component::CurDir {
            short.push(part);
        }
    }
    short.to_string_lossy().into_owned()
}

/// The directories that a pattern means; where it means none, it is a name.
fn directories(pattern: &str) -> Vec<PathBuf> {
    if pattern.is_empty() {
        return Vec::new();
    }
    let mut found = vec![PathBuf::new()];
    for part in Path::new(pattern).components() {
        let word = part.as_os_str().to_string_lossy();
        if !word.contains(['*', '?', '[', '\\']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let mut next = Vec::new();
        for path in found {
            let here = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                &path
            };
            let names = names(here).unwrap_or_default().into_iter();
            next.extend(
                names
                    .filter(|name| matches(&word, name))
                    .map(|name| path.join(name)),
            );
        }
        found = next;
    }
    found.retain(|path| path.exists());
    if found.is_empty() {
        found.push(pattern.into());
    }
    found
}

/// `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before what stands for itself.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pattern = pattern.chars();
    let mut rest = name.chars();
    while let Some(letter) = pattern.next() {
        match letter {
            '*' => {
                let tail = pattern.as_str();
                let mut starts = name[name.len() - rest.as_str().len()..].char_indices();
                return tail.is_empty()
                    || starts.any(|(at, _)| matches(tail, &rest.as_str()[at..]))
                    || matches(tail, "");
            }
            '?' => {
                if rest.next().is_none() {
                    return false;
                }
            }
            '[' => {
                let Some((set, tail)) = pattern.as_str().split_once(']') else {
                    return false;
                };
                pattern = tail.chars();
                let (set, wanted) = match set.strip_prefix('^') {
                    Some(set) => (set, false),
                    None => (set, true),
                };
                if rest
                    .next()
                    .is_none_or(|letter| in_set(set, letter) != wanted)
                {
                    return false;
                }
            }
            '\\' => {
                if pattern.next() != rest.next() {
                    return false;
                }
            }
            letter => {
                if rest.next() != Some(letter) {
                    return false;
                }
            }
        }
    }
    rest.as_str().is_empty()
}

fn in_set(set: &str, letter: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    let mut at = 0;
    while let Some(first) = set.get(at) {
        let range = set.get(at + 1) == Some(&'-');
        let last = set.get(at + 2).filter(|_| range);
        if (*first..=*last.unwrap_or(first)).contains(&letter) {
            return true;
        }
        at += if last.is_some() { 3 } else { 1 };
    }
    false
}

/// All families of all files. Of what does not fit together, the first counts; the others are said.
fn tell(files: &[(String, Vec<Family>, i64)], out: &mut Exposition) -> BTreeMap<String, String> {
    let mut complaints = BTreeMap::new();
    let mut sources: HashMap<&str, Vec<&str>> = HashMap::new();
    for (path, families, _) in files {
        for family in families {
            sources.entry(&family.name).or_default().push(path);
        }
    }
    let mut told: HashMap<&str, (Kind, String)> = HashMap::new();
    let mut series = BTreeSet::new();
    for family in files.iter().flat_map(|(_, families, _)| families) {
        let name = family.name.as_str();
        let help = family.help.clone().unwrap_or_else(|| {
            let sources = sources.get(name).map(Vec::as_slice).unwrap_or_default();
            format!("Metric read from {}", sources.join(", "))
        });
        let fits = match told.get(name) {
            Some((kind, first)) => *kind == family.kind && *first == help,
            None => !collides(name, family.kind, &told),
        };
        if !fits {
            let why = "not all of it fits together: the first help, type or name counts";
            complaints.insert(format!("metric {name} of text files"), why.to_owned());
            continue;
        }
        // Labels that only some have are empty in the others.
        let known: BTreeSet<&String> = family
            .metrics
            .iter()
            .flat_map(|metric| metric.labels.keys())
            .collect();
        let mut samples = out.family(name.to_owned(), family.kind, help.clone());
        told.insert(name, (family.kind, help));
        for metric in &family.metrics {
            let mut labels = metric.labels.clone();
            for label in &known {
                labels.entry((*label).clone()).or_default();
            }
            if series.insert((name, labels.clone())) {
                write(metric, &labels, &mut samples);
            } else {
                let why = "a series is there twice: the first counts";
                complaints.insert(format!("metric {name} of text files"), why.to_owned());
            }
        }
    }
    complaints
}

/// Whether its samples would be taken for those of another family, as `x_count` for those of a summary `x`.
fn collides(name: &str, kind: Kind, told: &HashMap<&str, (Kind, String)>) -> bool {
    const SUFFIXES: [&str; 3] = ["_count", "_sum", "_bucket"];
    let suffixes = |kind| match kind {
        Kind::Summary => &SUFFIXES[..2],
        Kind::Histogram => &SUFFIXES[..],
        _ => &[],
    };
    let taken = SUFFIXES.iter().any(|suffix| {
        let whole = name.strip_suffix(suffix).and_then(|stem| told.get(stem));
        whole.is_some_and(|(kind, _)| suffixes(*kind).contains(suffix))
    });
    let takes = suffixes(kind)
        .iter()
        .any(|suffix| told.contains_key(format!("{name}{suffix}").as_str()));
    taken || takes
}

fn write(metric: &Metric, labels: &Labels, samples: &mut Samples<'_>) {
    let labels: Vec<(&str, &str)> = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let number = |bound: f64| {
        let mut text = String::new();
        bound.write(&mut text);
        text
    };
    match &metric.reading {
        Reading::Value(value) => {
            samples.add(&labels, *value);
        }
        Reading::Summary {
            quantiles,
            sum,
            count,
        } => {
            for (quantile, value) in quantiles {
                let quantile = number(*quantile);
                let labels = [&labels[..], &[("quantile", &quantile)]].concat();
                samples.add(&labels, *value);
            }
            samples.suffixed("_sum", &labels, *sum);
            samples.suffixed("_count", &labels, *count);
        }
        Reading::Histogram {
            buckets,
            sum,
            count,
        } => {
            let last = (f64::INFINITY, *count);
            let closed = buckets
                .last()
                .is_some_and(|(bound, _)| *bound == f64::INFINITY);
            for (bound, value) in buckets.iter().chain((!closed).then_some(&last)) {
                let bound = number(*bound);
                let labels = [&labels[..], &[("le", &bound)]].concat();
                samples.suffixed("_bucket", &labels, *value);
            }
            samples.suffixed("_sum", &labels, *sum);
            samples.suffixed("_count", &labels, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected_with};

    fn told(files: &[(&str, &str)], directory: &str) -> String {
        let machine = Machine::new(files);
        let directory = machine.path(directory).to_string_lossy().into_owned();
        let text = collected_with(&DEFINITION, &[(DIRECTORY, &directory)], &machine).unwrap();
        text.replace(&*machine.path("").to_string_lossy(), "/")
    }

    #[test]
    fn files_are_told_with_their_age() {
        let files = [
            (
                "text/a.prom",
                "# TYPE jobs gauge\njobs{queue=\"x\"} 1\njobs{queue=\"x\"} 2\njobs 3\n",
            ),
            (
                "text/b.prom",
                "# TYPE jobs counter\njobs{queue=\"y\"} 3\nruns 4\n",
            ),
            ("text/c.txt", "broken"),
        ];
        let text = told(&files, "text/");
        assert!(
            text.contains("\njobs{queue=\"x\"} 1\njobs{queue=\"\"} 3\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "# HELP runs Metric read from /text/b.prom\n# TYPE runs untyped\nruns 4\n"
            )
        );
        assert!(text.contains("# HELP jobs Metric read from /text/a.prom, /text/b.prom\n"));
        assert!(!text.contains("queue=\"y\"") && !text.contains("queue=\"x\"} 2"));
        assert!(text.contains("\nnode_textfile_scrape_error 0\n"));
        assert!(text.contains("\nnode_textfile_mtime_seconds{file=\"/text/b.prom\"} 1."));
    }

    #[test]
    fn one_broken_file_does_not_stop_the_others() {
        let files = [("text/a.prom", "good 1\n"), ("text/b.prom", "bad x\n")];
        let text = told(&files, "text");
        assert!(text.contains("\ngood 1\n") && text.contains("\nnode_textfile_scrape_error 1\n"));
        assert!(!text.contains("b.prom"));
        assert!(told(&files, "none").contains("\nnode_textfile_scrape_error 1\n"));
        assert!(told(&files, "te[^a-b]*").contains("\ngood 1\n"));
    }

    #[test]
    fn histograms_have_a_last_bucket() {
        let file = "# TYPE t histogram\nt_bucket{le=\"0.5\"} 1\nt_sum 7\nt_count 2\nt_other 3\n\
            # TYPE s summary\ns{quantile=\"0.9\",a=\"b\"} 4\ns_sum{a=\"b\"} 5\n";
        let text = told(&[("text/a.prom", file)], "text");
        let expected = "t_bucket{le=\"0.5\"} 1\nt_bucket{le=\"+Inf\"} 2\nt_sum 7\nt_count 2\n";
        assert!(text.contains(expected), "{text}");
        let expected = "s{a=\"b\",quantile=\"0.9\"} 4\ns_sum{a=\"b\"} 5\ns_count{a=\"b\"} 0\n";
        assert!(text.contains(expected), "{text}");
        let text = told(
            &[
                ("text/a.prom", file),
                ("text/b.prom", "s_count 7\nt_sums 8\n"),
            ],
            "text",
        );
        assert!(
            !text.contains("s_count 7") && text.contains("\nt_sums 8\n"),
            "{text}"
        );
        assert!(text.contains("\nnode_textfile_scrape_error 0\n"), "{text}");
    }

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[^a-c]x", "dx"),
            ("\\*", "*"),
            ("*.d", "é.d"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a*c", "ab"),
            ("?", ""),
            ("[a", "a"),
            ("[^a]", ""),
            ("a", "ab"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert_eq!(shown(Path::new("/a//b/./c/../d.prom")), "/a/b/d.prom");
    }
}

//! Facts of the machine's own: what the files in `/etc/brine/facts.d` say.
//!
//! A program there is run as root, and a file's facts choose nodes: so both must be root's, and nobody
//! else's to write. What says too much, or nothing that makes sense, costs its own facts only.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::host;

const FOLDER: &str = "etc/brine/facts.d";

/// For a single program, and for all of them together.
const EACH: Duration = Duration::from_secs(10);
const ALL: Duration = Duration::from_secs(20);

/// The most that one file says, in bytes; a program's output is cut there, too.
const LONGEST: u64 = 60 << 10;

/// The longest value, and the most facts of a machine.
const VALUE: usize = 4096;
const MOST: usize = 1000;

/// Levels of a JSON document.
const DEPTH: usize = 6;

type Facts = BTreeMap<String, String>;

/// The facts, and what was wrong, in words for people.
pub(super) fn collect(root: &Path) -> (Facts, Vec<String>) {
    let (mut facts, mut problems) = (Facts::new(), Vec::new());
    let began = Instant::now();
    let folder = root.join(FOLDER);
    if let Ok(metadata) = folder.symlink_metadata()
        && !is_ours(&metadata)
    {
        problems.push(format!("{}: {NOT_OURS}", folder.display()));
        return (facts, problems);
    }
    for path in files(&folder) {
        let left = ALL.saturating_sub(began.elapsed()).min(EACH);
        let said = one(root, &path, left).and_then(|(name, text)| parsed(&name, &text));
        match said {
            Ok(found) if facts.len() + found.len() <= MOST => facts.extend(found),
            Ok(_) => problems.push(format!("{}: more than {MOST} facts", path.display())),
            Err(why) => problems.push(format!("{}: {why}", path.display())),
        }
    }
    (facts, problems)
}

const NOT_OURS: &str = "it must be root's, and nobody else's to write";

fn is_ours(metadata: &Metadata) -> bool {
    // Whoever runs the agent: root, but in tests.
    let owner = nix::unistd::Uid::effective().as_raw();
    metadata.uid() == owner && metadata.mode() & 0o022 == 0
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

/// A file's name in facts, and what it or its program says.
fn one(root: &Path, path: &Path, limit: Duration) -> Result<(String, String), String> {
    let name = path.file_stem().and_then(|stem| stem.to_str());
    let name = name.filter(|name| is_name(name));
    let name = name.ok_or("a name is a-z, 0-9 and _, and begins with a letter")?;
    let metadata = path.symlink_metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if !is_ours(&metadata) {
        return Err(NOT_OURS.to_owned());
    }
    let text = if metadata.mode() & 0o111 == 0 {
        if metadata.len() > LONGEST {
            return Err(format!(
                "it has {} bytes: at most {LONGEST}",
                metadata.len()
            ));
        }
        std::fs::read_to_string(path).map_err(|error| error.to_string())?
    } else {
        if limit.is_zero() {
            return Err(format!("all together have {} s", ALL.as_secs()));
        }
        let text = host::run_once(root, path, limit)?;
        if text.len() as u64 > LONGEST {
            return Err(format!("it says more than {LONGEST} bytes"));
        }
        text
    };
    Ok((name.to_owned(), text))
}

/// JSON, lines of `name=value`, or one text.
fn parsed(name: &str, text: &str) -> Result<Facts, String> {
    let text = text.trim();
    let mut facts = Facts::new();
    if text.starts_with(['{', '[']) {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        flatten(name, &value, DEPTH, &mut facts)?;
        return Ok(facts);
    }
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> = lines
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect();
    if let [line] = lines.as_slice()
        && !line.contains('=')
    {
        insert(name.to_owned(), line, &mut facts)?;
        return Ok(facts);
    }
    for line in lines {
        let pair = line
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()));
        let Some((key, value)) = pair.filter(|(key, _)| is_name(key)) else {
            return Err("expected JSON, lines of `name=value`, or one line".to_owned());
        };
        insert(format!("{name}.{key}"), value, &mut facts)?;
    }
    Ok(facts)
}

fn flatten(path: &str, value: &Value, depth: usize, facts: &mut Facts) -> Result<(), String> {
    let deeper = || {
        depth
            .checked_sub(1)
            .ok_or(format!("{path}: more than {DEPTH} levels"))
    };
    match value {
        Value::Null => Ok(()),
        Value::Bool(yes) => insert(path.to_owned(), &yes.to_string(), facts),
        Value::Number(number) => insert(path.to_owned(), &number.to_string(), facts),
        Value::String(text) => insert(path.to_owned(), text, facts),
        Value::Array(items) => {
            let depth = deeper()?;
            let mut numbered = items.iter().enumerate();
            numbered.try_for_each(|(at, item)| flatten(&format!("{path}.{at}"), item, depth, facts))
        }
        Value::Object(map) => {
            let depth = deeper()?;
            map.iter().try_for_each(|(key, value)| {
                if is_name(key) {
                    flatten(&format!("{path}.{key}"), value, depth, facts)
                } else {
                    Err(format!(
                        "{path}: `{}` cannot name a fact",
                        key.escape_debug()
                    ))
                }
            })
        }
    }
}

fn insert(path: String, value: &str, facts: &mut Facts) -> Result<(), String> {
    if value.len() > VALUE {
        return Err(format!(
            "{path}: a value of {} bytes: at most {VALUE}",
            value.len()
        ));
    }
    if facts.len() >= MOST {
        return Err(format!("more than {MOST} facts"));
    }
    facts.insert(path, value.to_owned());
    Ok(())
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn check(name: &str, mode: u32, content: &str, expected: Result<&[(&str, &str)], &str>) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(FOLDER);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let (facts, problems) = collect(root.path());
        match expected {
            Ok(expected) => {
                let facts: Vec<_> = facts
                    .iter()
                    .map(|(k, v)| (k.as_str(), v.as_str()))
                    .collect();
                assert_eq!(
                    (facts.as_slice(), problems.as_slice()),
                    (expected, [].as_slice())
                );
            }
            Err(why) => {
                assert!(facts.is_empty(), "{facts:?}");
                assert!(
                    problems.len() == 1 && problems[0].contains(why),
                    "{problems:?}"
                );
            }
        }
    }

    #[test]
    fn files_and_programs() {
        check("rack", 0o644, "a1\n", Ok(&[("rack", "a1")]));
        check(
            "site.conf",
            0o600,
            "# where\nname = north\nslots=4\n",
            Ok(&[("site.name", "north"), ("site.slots", "4")]),
        );
        check(
            "asset.json",
            0o644,
            r#"{"owner": {"team": "web"}, "ports": [1, 2], "none": null}"#,
            Ok(&[
                ("asset.owner.team", "web"),
                ("asset.ports.0", "1"),
                ("asset.ports.1", "2"),
            ]),
        );
        check(
            "raid.sh",
            0o755,
            "#!/bin/sh\necho state=good\n",
            Ok(&[("raid.state", "good")]),
        );
        // What looks like a template or an escape is a text.
        check("x", 0o644, "{{7*7}}\u{1b}[31m", Err("key must be a string"));
        check(
            "x",
            0o644,
            "a{{7*7}}\u{1b}[31m",
            Ok(&[("x", "a{{7*7}}\u{1b}[31m")]),
        );
    }

    #[test]
    fn a_folder_that_others_write_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(FOLDER);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("rack"), "a1").unwrap();
        assert_eq!(collect(root.path()).0.len(), 1);
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let (facts, problems) = collect(root.path());
        assert!(
            facts.is_empty() && problems[0].contains(NOT_OURS),
            "{problems:?}"
        );
    }

    #[test]
    fn what_costs_its_own_facts_only() {
        check("rack", 0o666, "a1", Err("nobody else's to write"));
        check("Rack", 0o644, "a1", Err("a name is"));
        check("long", 0o644, &"x".repeat(5000), Err("at most 4096"));
        check("huge", 0o644, &"x".repeat(100 << 20), Err("at most 61440"));
        check(
            "raid.sh",
            0o755,
            "#!/bin/sh\nyes | head -c 100000000\n",
            Err("more than"),
        );
        check(
            "raid.sh",
            0o755,
            "#!/bin/sh\necho no >&2; exit 3\n",
            Err("3"),
        );
        check("deep.json", 0o644, &"[".repeat(9), Err("EOF"));
        let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
        check("deep.json", 0o644, &deep, Err("levels"));
        check("key.json", 0o644, r#"{"a.b": 1}"#, Err("cannot name"));
    }
}

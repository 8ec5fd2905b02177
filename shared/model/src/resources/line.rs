//! `line`: one line of a file that others write to as well.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::lines::Lines;
use super::shared_file::{Edit, SharedFile};
use crate::deserialize::{Error, Located};
use crate::host::{Fingerprint, Host, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, Subject};

/// `line: root may not log in`. Lines are compared whole; nothing here is a pattern.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    path: AbsolutePath,
    /// The line itself, without its end.
    line: Option<Located<String>>,
    /// There is one line that starts with this, and it is `line`: the first one takes its text,
    /// further ones go. With `absent`: all of them go.
    starts_with: Option<Located<String>>,
    /// A new line comes behind the last one that starts with this. Default: at the end.
    after: Option<String>,
    /// There is no such line.
    #[serde(default)]
    absent: bool,
    /// Make the file where it is missing.
    #[serde(default)]
    create: bool,
}

struct Line {
    file: SharedFile,
    line: Option<String>,
    starts_with: Option<String>,
    after: Option<String>,
    absent: bool,
}

impl Declaration for Fields {
    const NAME: &'static str = "line";
    const HEALS: bool = true;
    const DOC: &'static str = "One line of a file; the others stay as they are.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let texts = [&self.line, &self.starts_with];
        for Located { span, value } in texts.into_iter().flatten() {
            if value.contains(['\n', '\r', '\0']) {
                return Err(Error::new(*span, "this is more than one line")
                    .with_help("`block` keeps several lines together"));
            }
            if value.is_empty() {
                return Err(Error::new(*span, "every line starts with nothing"));
            }
        }
        let value = |given: Option<Located<String>>| given.map(|given| given.value);
        let (line, starts_with) = (value(self.line), value(self.starts_with));
        match (&line, &starts_with) {
            (Some(line), Some(start)) if !line.starts_with(start) && !self.absent => {
                let message = format!(
                    "`{line}` does not start with `{start}`: it would come again and again"
                );
                return Err(place.error("starts_with", message));
            }
            (None, None) => {
                return Err(Error::new(place.fields.span, "which line is not said")
                    .with_help("give `line`"));
            }
            (None, Some(_)) if !self.absent => {
                return Err(
                    Error::new(place.fields.span, "what the line is to be is not said")
                        .with_help("give `line`, or `absent: true`"),
                );
            }
            _ => {}
        }
        Ok(Box::new(Line {
            file: SharedFile {
                path: self.path,
                part: place.id.clone(),
                create: self.create && !self.absent,
                sensitive: false,
            },
            line,
            starts_with,
            after: self.after,
            absent: self.absent,
        }))
    }
}

impl Line {
    fn is_ours(&self, text: &[u8]) -> bool {
        let whole = self
            .line
            .as_ref()
            .is_some_and(|line| text == line.as_bytes());
        let starts = |start: &String| text.starts_with(start.as_bytes());
        whole || self.starts_with.as_ref().is_some_and(starts)
    }

    fn edit(&self, lines: &mut Lines) -> Result<Edit, String> {
        let found = lines.places(|text| self.is_ours(text));
        let Some(wanted) = self.line.as_ref().filter(|_| !self.absent) else {
            let shown = found.first().and_then(|&first| lines.get(first));
            let shown = shown.map(|line| String::from_utf8_lossy(line).into_owned());
            found.iter().rev().for_each(|&place| lines.remove(place));
            return Ok(shown.map(|line| ("remove", format!("remove `{line}`"))));
        };
        let Some((&first, more)) = found.split_first() else {
            let place = self.after.as_ref().and_then(|after| {
                let found = lines.places(|text| text.starts_with(after.as_bytes()));
                found.last().map(|last| last + 1)
            });
            lines.insert(place.unwrap_or(lines.len()), wanted.as_bytes());
            return Ok(Some(("set", format!("add `{wanted}`"))));
        };
        // Without `starts_with`, a line that is there twice is there.
        let more = if self.starts_with.is_some() {
            more
        } else {
            &[]
        };
        let old = String::from_utf8_lossy(lines.get(first).unwrap_or_default()).into_owned();
        if old == *wanted && more.is_empty() {
            return Ok(None);
        }
        lines.replace(first, wanted.as_bytes());
        more.iter().rev().for_each(|&place| lines.remove(place));
        let text = if old == *wanted {
            format!("`{wanted}` once only")
        } else {
            format!("`{old}` → `{wanted}`")
        };
        Ok(Some(("set", text)))
    }
}

impl Resource for Line {
    fn subjects(&self) -> Vec<Subject> {
        self.file.subjects()
    }

    fn needs(&self) -> Vec<Subject> {
        self.file.needs()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        self.file.plan(host, &|lines| self.edit(lines))
    }

    fn intent(&self) -> Vec<Change> {
        let path = &self.file.path;
        match &self.line {
            Some(line) if !self.absent => self
                .file
                .intent("set", format!("`{line}` as a line of {path}")),
            line => {
                let what = line.as_ref().or(self.starts_with.as_ref());
                let what = what.map_or("", String::as_str);
                self.file
                    .intent("remove", format!("remove `{what}` from {path}"))
            }
        }
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        self.file.apply(host, &|lines| self.edit(lines))
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        self.file.fingerprint(host, |lines| {
            let ours = lines.places(|text| self.is_ours(text));
            let ours = ours.into_iter().filter_map(|place| lines.get(place));
            ours.collect::<Vec<_>>().join(&b'\n')
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::tests::{check_fails, check_plan};
    use crate::converge::fake::{FakeHost, Scene, check_converges};

    const PATH: &str = "/etc/ssh/sshd_config";

    /// Makes `before` into `after`, and says so.
    #[track_caller]
    fn check(before: &str, fields: Json, text: &str, after: &str) {
        let mut fields = fields;
        fields["path"] = json!(PATH);
        let mut host = FakeHost::new();
        host.put(PATH, before);
        let texts = if text.is_empty() { vec![] } else { vec![text] };
        check_plan(&host, "line:l", fields.clone(), &texts);
        check_converges(&Scene::new(&[("line:l", fields)]), &mut host);
        assert_eq!(host.text(PATH).as_deref(), Some(after));
    }

    #[test]
    fn whole_lines() {
        let x = || json!({"line": "Port 22"});
        check("a\n", x(), "add `Port 22`", "a\nPort 22\n");
        check("a", x(), "add `Port 22`", "a\nPort 22\n");
        check("Port 2222\n", x(), "add `Port 22`", "Port 2222\nPort 22\n");
        check("Port 22\r\na\r\n", x(), "", "Port 22\r\na\r\n");
        check("Port 22\nPort 22", x(), "", "Port 22\nPort 22");
        let after = json!({"line": "x", "after": "["});
        check(
            "[a]\n[b]\nc\n",
            after.clone(),
            "add `x`",
            "[a]\n[b]\nx\nc\n",
        );
        check("c\n", after, "add `x`", "c\nx\n");
    }

    #[test]
    fn the_one_line_that_starts_so() {
        let port = || json!({"line": "Port 22", "starts_with": "Port "});
        check(
            "#Port 1\nPort 2\nz",
            port(),
            "`Port 2` → `Port 22`",
            "#Port 1\nPort 22\nz",
        );
        check(
            "Port 2\r\nb\r\nPort 3\r\n",
            port(),
            "`Port 2` → `Port 22`",
            "Port 22\r\nb\r\n",
        );
        check(
            "Port 22\nPort 3\n",
            port(),
            "`Port 22` once only",
            "Port 22\n",
        );
        check("Portable\n", port(), "add `Port 22`", "Portable\nPort 22\n");
    }

    #[test]
    fn gone_lines() {
        let x = || json!({"line": "x", "absent": true});
        check("a\nx\nb\nx", x(), "remove `x`", "a\nb\n");
        check("ax\n", x(), "", "ax\n");
        let start = json!({"starts_with": "Port ", "absent": true});
        check("Port 1\nPort 2\na\n", start, "remove `Port 1`", "a\n");
    }

    #[test]
    fn a_missing_file() {
        let mut host = FakeHost::new();
        let fields = json!({"path": "/etc/x", "line": "a"});
        let why = "cannot edit /etc/x: there is no such file; `create: true` makes it";
        check_plan(&host, "line:l", fields, &[why]);
        let gone = json!({"path": "/etc/x", "line": "a", "absent": true});
        check_plan(&host, "line:l", gone, &[]);
        let made = json!({"path": "/etc/x", "line": "a", "create": true});
        check_converges(&Scene::new(&[("line:l", made)]), &mut host);
        assert_eq!(host.text("/etc/x").as_deref(), Some("a\n"));
    }

    #[test]
    fn several_lines_of_one_file() {
        let line = |text: &str| json!({"path": PATH, "line": text});
        let scene = Scene::new(&[("line:a", line("a")), ("line:b", line("b"))]);
        let mut host = FakeHost::new();
        host.put(PATH, "");
        let file = host.files.get_mut(&crate::converge::fake::fake_path(PATH));
        file.expect("just put").mode = 0o600;
        check_converges(&scene, &mut host);
        assert_eq!(host.text(PATH).as_deref(), Some("a\nb\n"));
        let file = &host.files[&crate::converge::fake::fake_path(PATH)];
        assert_eq!(file.mode, 0o600);
    }

    #[test]
    fn what_makes_no_sense() {
        let mut fields = json!({"path": "/a"});
        check_fails(
            "line:l",
            fields.clone(),
            "which line is not said: give `line`",
        );
        fields["starts_with"] = json!("x");
        check_fails(
            "line:l",
            fields.clone(),
            "what the line is to be is not said: give `line`, or `absent: true`",
        );
        fields["line"] = json!("y");
        check_fails(
            "line:l",
            fields.clone(),
            "`y` does not start with `x`: it would come again and again",
        );
        fields["line"] = json!("x\ny");
        check_fails(
            "line:l",
            fields,
            "this is more than one line: `block` keeps several lines together",
        );
    }
}

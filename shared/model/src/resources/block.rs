//! `block`: some lines of a file that others write to as well, between two marker lines.

use serde::Deserialize;

use super::content::{Body, Given};
use super::declare::{Declaration, Place};
use super::lines::Lines;
use super::shared_file::{Edit, SharedFile};
use super::{PathField, PathUse};
use crate::deserialize::{BlobField, Error, Located, TextOrSecret};
use crate::host::{Content, Fingerprint, Host, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, Subject};

/// `block: replication` stands between `# BEGIN brine replication` and `# END brine replication`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    path: AbsolutePath,
    /// A template file of the formula, rendered on the node.
    template: Option<BlobField>,
    /// The lines themselves: text, or one secret.
    content: Option<TextOrSecret>,
    /// What a comment of this file begins with. Default: `#`.
    comment: Option<Located<String>>,
    /// A new block comes behind the last line that starts with this. Default: at the end.
    after: Option<String>,
    /// There is no such block.
    #[serde(default)]
    absent: bool,
    /// Make the file where it is missing.
    #[serde(default)]
    create: bool,
}

struct Block {
    file: SharedFile,
    begin: String,
    end: String,
    /// None where there is to be no block.
    body: Option<Body>,
    after: Option<String>,
}

impl Declaration for Fields {
    const NAME: &'static str = "block";
    const HEALS: bool = true;
    const DOC: &'static str = "Lines of a file between two markers; the others stay as they are.";
    const PATH_FIELDS: &'static [PathField] = &[PathField {
        name: "template",
        holds: PathUse::Template,
    }];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let name = place.id.name();
        if name.contains(char::is_control) {
            let message = "the name of a block stands on its marker lines: it is one line";
            return Err(Error::new(place.fields.span, message));
        }
        let comment = match self.comment {
            Some(Located { span, value }) if value.trim().is_empty() || value.contains('\n') => {
                return Err(Error::new(span, "this begins no comment"));
            }
            given => given.map_or_else(|| "#".to_owned(), |given| given.value),
        };
        let body = if self.absent {
            if self.template.is_some() || self.content.is_some() {
                return Err(place.error("absent", "`absent` contradicts a content"));
            }
            None
        } else {
            let given = Given {
                template: self.template,
                source: None,
                content: self.content,
            };
            Some(Body::build(
                given,
                "`template` and `content`",
                false,
                place,
            )?)
        };
        Ok(Box::new(Block {
            file: SharedFile {
                path: self.path,
                part: place.id.clone(),
                create: self.create && body.is_some(),
                sensitive: body.as_ref().is_some_and(|body| body.sensitive),
            },
            begin: format!("{comment} BEGIN brine {name}"),
            end: format!("{comment} END brine {name}"),
            body,
            after: self.after,
        }))
    }
}

impl Block {
    /// The places of the two markers.
    fn find(&self, lines: &Lines) -> Result<Option<(usize, usize)>, String> {
        let begin = lines.places(|text| text == self.begin.as_bytes());
        let end = lines.places(|text| text == self.end.as_bytes());
        match (begin.as_slice(), end.as_slice()) {
            ([], []) => Ok(None),
            ([begin], [end]) if begin < end => Ok(Some((*begin, *end))),
            _ => Err(format!(
                "its markers were damaged: expected one `{}` and one `{}` below; mend or remove \
                 them by hand",
                self.begin, self.end
            )),
        }
    }

    fn wanted(&self) -> HostResult<Option<Vec<Vec<u8>>>> {
        let Some(body) = &self.body else {
            return Ok(None);
        };
        let Content::Bytes(bytes) = body.content()? else {
            return Ok(None);
        };
        let lines = Lines::of(bytes);
        let text = |place| lines.get(place).map(<[u8]>::to_vec);
        Ok(Some((0..lines.len()).filter_map(text).collect()))
    }

    fn edit(&self, wanted: Option<&[Vec<u8>]>, lines: &mut Lines) -> Result<Edit, String> {
        let name = self.file.part.name();
        let found = self.find(lines)?;
        let Some(wanted) = wanted else {
            let Some((begin, end)) = found else {
                return Ok(None);
            };
            (begin..=end).rev().for_each(|place| lines.remove(place));
            return Ok(Some(("remove", format!("remove block {name}"))));
        };
        let marker =
            |text: &Vec<u8>| *text == self.begin.as_bytes() || *text == self.end.as_bytes();
        if wanted.iter().any(marker) {
            return Err("the block's content has one of its own markers in it".to_owned());
        }
        let (place, text) = match found {
            Some((begin, end)) => {
                let there = (begin + 1..end).map(|place| lines.get(place).unwrap_or_default());
                if there.eq(wanted.iter().map(Vec::as_slice)) {
                    return Ok(None);
                }
                (begin + 1..end).rev().for_each(|place| lines.remove(place));
                (begin + 1, format!("content of block {name}"))
            }
            None => {
                let last = self.after.as_ref().and_then(|after| {
                    let found = lines.places(|text| text.starts_with(after.as_bytes()));
                    found.last().map(|last| last + 1)
                });
                let place = last.unwrap_or(lines.len());
                lines.insert(place, self.end.as_bytes());
                lines.insert(place, self.begin.as_bytes());
                (place + 1, format!("add block {name}"))
            }
        };
        for text in wanted.iter().rev() {
            lines.insert(place, text);
        }
        Ok(Some(("set", text)))
    }
}

impl Resource for Block {
    fn subjects(&self) -> Vec<Subject> {
        self.file.subjects()
    }

    fn needs(&self) -> Vec<Subject> {
        self.file.needs()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let wanted = self.wanted()?;
        let edit = |lines: &mut Lines| self.edit(wanted.as_deref(), lines);
        self.file.plan(host, &edit)
    }

    fn intent(&self) -> Vec<Change> {
        let (name, path) = (self.file.part.name(), &self.file.path);
        match self.body {
            Some(_) => self.file.intent("set", format!("block {name} of {path}")),
            None => self
                .file
                .intent("remove", format!("remove block {name} from {path}")),
        }
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let wanted = self.wanted()?;
        let edit = |lines: &mut Lines| self.edit(wanted.as_deref(), lines);
        self.file.apply(host, &edit)
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        self.file.fingerprint(host, |lines| {
            let (begin, end) = self.find(lines).ok().flatten().unwrap_or_default();
            let ours = (begin..end).filter_map(|place| lines.get(place));
            ours.collect::<Vec<_>>().join(&b'\n')
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::tests::{check_fails, check_plan};
    use crate::converge::fake::{FakeHost, Scene, check_converges};
    use crate::resource::Diff;

    const PATH: &str = "/etc/pg_hba.conf";

    #[track_caller]
    fn check(before: &str, fields: Json, text: &str, after: &str) {
        let mut fields = fields;
        fields["path"] = json!(PATH);
        let mut host = FakeHost::new();
        host.put(PATH, before);
        let texts = if text.is_empty() { vec![] } else { vec![text] };
        check_plan(&host, "block:b", fields.clone(), &texts);
        check_converges(&Scene::new(&[("block:b", fields)]), &mut host);
        assert_eq!(host.text(PATH).as_deref(), Some(after));
    }

    const XY: &str = "a\n# BEGIN brine b\nx\ny\n# END brine b\n";

    #[test]
    fn comes_changes_and_goes() {
        let xy = || json!({"content": "x\ny"});
        check("a", xy(), "add block b", XY);
        check(XY, xy(), "", XY);
        check(XY, json!({"content": "x\ny\n"}), "", XY);
        let one = "a\n# BEGIN brine b\nz\n# END brine b\n";
        check(XY, json!({"content": "z\n"}), "content of block b", one);
        check(XY, json!({"absent": true}), "remove block b", "a\n");
        check("a\n", json!({"absent": true}), "", "a\n");
        let empty = "a\n# BEGIN brine b\n# END brine b\n";
        check(XY, json!({"content": ""}), "content of block b", empty);
    }

    #[test]
    fn where_and_how_it_is_marked() {
        let fields = json!({"content": "x", "comment": "--", "after": "a"});
        let after = "a\r\n-- BEGIN brine b\r\nx\r\n-- END brine b\r\nc\r\n";
        check("a\r\nc\r\n", fields.clone(), "add block b", after);
        check(after, fields, "", after);
    }

    #[test]
    fn damaged_markers() {
        let mut host = FakeHost::new();
        for damaged in [
            "# BEGIN brine b\n",
            "# END brine b\n# BEGIN brine b\n",
            "# BEGIN brine b\n# BEGIN brine b\n# END brine b\n",
        ] {
            host.put(PATH, damaged);
            let why = "cannot edit /etc/pg_hba.conf: its markers were damaged: expected one \
                       `# BEGIN brine b` and one `# END brine b` below; mend or remove them by hand";
            let fields = json!({"path": PATH, "content": "x"});
            check_plan(&host, "block:b", fields, &[why]);
        }
        host.put(PATH, "");
        let fields = json!({"path": PATH, "content": "# END brine b"});
        let why =
            "cannot edit /etc/pg_hba.conf: the block's content has one of its own markers in it";
        check_plan(&host, "block:b", fields, &[why]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let template = json!({"$blob": "password={{password}}\n"});
        let fields = json!({"path": "/a", "create": true, "template": template});
        let scene = Scene::new(&[("block:b", fields)])
            .context(&json!({"password": {"$secret": "hunter2"}}));
        let mut host = FakeHost::new();
        let (plan, _) = check_converges(&scene, &mut host);
        let change = &plan.resources[0].outcome.changes()[0];
        assert_eq!(change.diff, Some(Diff::Sensitive));
        let file = &host.files[&crate::converge::fake::fake_path("/a")];
        assert_eq!(file.mode, 0o600);
    }

    #[test]
    fn what_makes_no_sense() {
        let fields = json!({"path": "/a"});
        check_fails(
            "block:b",
            fields,
            "what it holds is missing: give one of `template` and `content`",
        );
        let fields = json!({"path": "/a", "content": "x", "absent": true});
        check_fails("block:b", fields, "`absent` contradicts a content");
        let fields = json!({"path": "/a", "content": "x", "comment": " "});
        check_fails("block:b", fields, "this begins no comment");
        let fields = json!({"path": "/a", "content": "x"});
        check_fails(
            "block:a\nb",
            fields,
            "the name of a block stands on its marker lines: it is one line",
        );
    }
}

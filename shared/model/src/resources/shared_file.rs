//! A file that others write to as well: what `line`, `block` and `hosts_entry` have in common.
//!
//! Only the part that is ours changes; mode, owner and everything else in the file stay.

use super::diff::{self, Before, MOST_TEXT};
use super::lines::Lines;
use super::managed::{ownership, wrong_kind};
use crate::digest::Digest;
use crate::host::{
    Content, FileKind, FileState, Fingerprint, Host, HostError, HostResult, Ownership, ReadHost,
};
use crate::path::AbsolutePath;
use crate::resource::{Change, Diff, Effect, Impact, ResourceId, Subject};

pub(super) struct SharedFile {
    pub(super) path: AbsolutePath,
    /// Names the part that is ours.
    pub(super) part: ResourceId,
    /// Made where it is missing.
    pub(super) create: bool,
    /// Its content is shown to nobody.
    pub(super) sensitive: bool,
}

/// What an edit does to the lines: the kind of change and its text; none where all is well.
pub(super) type Edit = Option<(&'static str, String)>;

/// Changes the lines, or says in words why it cannot.
pub(super) type Editor<'a> = &'a dyn Fn(&mut Lines) -> Result<Edit, String>;

/// A file before and after.
struct Edited {
    edit: (&'static str, String),
    before: Option<FileState>,
    old: Vec<u8>,
    new: Vec<u8>,
    ownership: Ownership,
}

impl SharedFile {
    pub(super) fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Part {
            path: self.path.clone(),
            part: self.part.clone(),
        }]
    }

    pub(super) fn needs(&self) -> Vec<Subject> {
        let directory = self.path.parent();
        std::iter::once(self.path.clone())
            .chain(directory)
            .map(Subject::Path)
            .collect()
    }

    pub(super) fn plan(&self, host: &dyn ReadHost, edit: Editor<'_>) -> HostResult<Vec<Change>> {
        let Some(edited) = self.edit(host, edit)? else {
            return Ok(Vec::new());
        };
        let Ownership { mode, owner, group } = edited.ownership.clone();
        let effect = Effect::File {
            path: self.path.clone(),
            digest: Digest::of(&edited.new),
            mode,
            owner,
            group,
        };
        let (verb, text) = edited.edit.clone();
        Ok(vec![Change {
            verb: verb.to_owned(),
            text,
            diff: Some(self.diff(edited)),
            impact: Impact::None,
            effects: vec![effect],
        }])
    }

    /// The edit is made afresh: what somebody else changed since the plan stays.
    pub(super) fn apply(&self, host: &mut dyn Host, edit: Editor<'_>) -> HostResult<()> {
        match self.edit(host.as_read(), edit)? {
            Some(edited) => {
                let content = Content::Bytes(edited.new);
                host.write_file(&self.path, &content, &edited.ownership, None)
            }
            None => Ok(()),
        }
    }

    /// For a machine that is not known.
    pub(super) fn intent(&self, verb: &str, text: String) -> Vec<Change> {
        vec![Change::new(verb, text)]
    }

    /// Of our part. Since when it is so, only the whole file tells: without a record, a dependant
    /// may be restarted once too often.
    pub(super) fn fingerprint(
        &self,
        host: &dyn ReadHost,
        part: impl Fn(&Lines) -> Vec<u8>,
    ) -> HostResult<Fingerprint> {
        let found = self.read(host)?;
        let lines = found.as_ref().map(|(_, content)| Lines::of(content));
        Ok(Fingerprint {
            digest: Digest::of(&lines.map(|lines| part(&lines)).unwrap_or_default()),
            changed_at: found.map(|(state, _)| state.changed_at),
        })
    }

    fn edit(&self, host: &dyn ReadHost, edit: Editor<'_>) -> HostResult<Option<Edited>> {
        let found = self.read(host)?;
        let (before, old) = match found {
            Some((state, content)) => (Some(state), content),
            None => (None, Vec::new()),
        };
        let mut lines = Lines::of(&old);
        let made = edit(&mut lines)
            .map_err(|why| HostError::failed(format!("edit {}", self.path), why))?;
        let Some((verb, text)) = made else {
            return Ok(None);
        };
        let (text, ownership) = match &before {
            Some(FileState {
                mode, owner, group, ..
            }) => {
                let (mode, owner, group) = (*mode, owner.clone(), group.clone());
                (text, Ownership { mode, owner, group })
            }
            None => {
                self.may_create(host)?;
                let mode = if self.sensitive { 0o600 } else { 0o644 };
                let text = format!("create {}: {text}", self.path);
                (text, ownership(None, mode, None, None))
            }
        };
        Ok(Some(Edited {
            edit: (verb, text),
            before,
            old,
            new: lines.bytes(),
            ownership,
        }))
    }

    fn may_create(&self, host: &dyn ReadHost) -> HostResult<()> {
        if self.create {
            return Ok(());
        }
        if let Some(earlier) = host.coming(&Subject::Path(self.path.clone())) {
            return Err(HostError::NotYet(earlier));
        }
        Err(HostError::failed(
            format!("edit {}", self.path),
            "there is no such file; `create: true` makes it",
        ))
    }

    fn read(&self, host: &dyn ReadHost) -> HostResult<Option<(FileState, Vec<u8>)>> {
        let Some(state) = host.stat(&self.path)? else {
            return Ok(None);
        };
        if state.kind != FileKind::File {
            return Err(wrong_kind(&self.path, "a file", &state.kind));
        }
        Ok(host.read(&self.path)?.map(|content| (state, content)))
    }

    fn diff(&self, edited: Edited) -> Diff {
        if self.sensitive {
            return Diff::Sensitive;
        }
        let before = match edited.before {
            None => Before::Nothing,
            Some(state) if state.size > MOST_TEXT => Before::Size(state.size),
            Some(_) => Before::Content(edited.old),
        };
        diff::between(&before, &edited.new)
    }
}

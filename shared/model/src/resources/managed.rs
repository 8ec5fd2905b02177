//! A file with content, mode and owner: what `file`, `unit` and `drop_in` share.

use super::content::Body;
use super::diff::{Before, MOST_TEXT};
use super::field::{Account, Mode};
use crate::digest::Digest;
use crate::host::{
    FileKind, FileState, Fingerprint, Host, HostError, HostResult, Ownership, Program, ReadHost,
};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Impact, Subject};

pub(super) struct ManagedFile {
    pub(super) path: AbsolutePath,
    pub(super) body: Body,
    pub(super) ownership: Ownership,
    pub(super) validate: Option<Program>,
    /// Content is written only where nothing is there.
    pub(super) keep: bool,
}

/// Mode and owner as given, with what holds where they are not.
pub(super) fn ownership(
    mode: Option<&Mode>,
    default: u32,
    owner: Option<&Account>,
    group: Option<&Account>,
) -> Ownership {
    let name = |given: Option<&Account>| {
        given.map_or_else(|| "root".to_owned(), |account| account.0.clone())
    };
    Ownership {
        mode: mode.map_or(default, |mode| mode.0),
        owner: name(owner),
        group: name(group),
    }
}

/// What stands on the accounts of `ownership`.
pub(super) fn accounts(ownership: &Ownership) -> Vec<Subject> {
    let own = |name: &String| name != "root";
    let owner = Some(&ownership.owner)
        .filter(|name| own(name))
        .cloned()
        .map(Subject::User);
    let group = Some(&ownership.group)
        .filter(|name| own(name))
        .cloned()
        .map(Subject::Group);
    owner.into_iter().chain(group).collect()
}

/// What is at `path`, for messages.
pub(super) fn kind_in_words(kind: &FileKind) -> String {
    match kind {
        FileKind::File => "a file".to_owned(),
        FileKind::Directory => "a directory".to_owned(),
        FileKind::Symlink { target } => format!("a symbolic link to {target}"),
        FileKind::Other => "a device, socket or pipe".to_owned(),
    }
}

pub(super) fn wrong_kind(path: &AbsolutePath, due: &str, found: &FileKind) -> HostError {
    let found = kind_in_words(found);
    HostError::failed(
        format!("have {due} at {path}"),
        format!("there is {found}, which Brine does not remove unasked"),
    )
}

/// Changes of mode and owner where something is there; checks that the accounts exist.
pub(super) fn drift(
    path: &AbsolutePath,
    state: &FileState,
    wanted: &Ownership,
    host: &dyn ReadHost,
) -> HostResult<Vec<(&'static str, String)>> {
    let mut drifts = Vec::new();
    if state.mode != wanted.mode {
        drifts.push((
            "mode",
            format!("mode {:04o} → {:04o}", state.mode, wanted.mode),
        ));
    }
    if (&state.owner, &state.group) != (&wanted.owner, &wanted.group) {
        check_accounts(path, wanted, host)?;
        let text = format!(
            "owner {}:{} → {}:{}",
            state.owner, state.group, wanted.owner, wanted.group
        );
        drifts.push(("owner", text));
    }
    Ok(drifts)
}

/// So that a plan fails, not the apply half-way.
pub(super) fn check_accounts(
    path: &AbsolutePath,
    wanted: &Ownership,
    host: &dyn ReadHost,
) -> HostResult<()> {
    let missing = |what: &str, name: &str| {
        Err(HostError::failed(
            format!("own {path}"),
            format!("there is no {what} `{name}`"),
        ))
    };
    if wanted.owner != "root" && host.user(&wanted.owner)?.is_none() {
        return missing("user", &wanted.owner);
    }
    if wanted.group != "root" && host.group(&wanted.group)?.is_none() {
        return missing("group", &wanted.group);
    }
    Ok(())
}

impl ManagedFile {
    pub(super) fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let path = &self.path;
        let Some(state) = host.stat(path)? else {
            check_accounts(path, &self.ownership, host)?;
            return Ok(vec![self.write(
                "create",
                format!("create {path}"),
                &Before::Nothing,
                host,
            )?]);
        };
        match &state.kind {
            FileKind::File => self.compare(&state, host),
            FileKind::Symlink { .. } if self.keep => Ok(Vec::new()),
            link @ FileKind::Symlink { .. } => {
                check_accounts(path, &self.ownership, host)?;
                let text = format!("replace {} by a file", kind_in_words(link));
                Ok(vec![self.write("replace", text, &Before::Nothing, host)?])
            }
            other => Err(wrong_kind(path, "a file", other)),
        }
    }

    /// What would be done to a machine that is not known.
    pub(super) fn intent(&self) -> Vec<Change> {
        let effects = self.body.digest().map(|digest| vec![self.effect(digest)]);
        vec![
            Change::new("create", format!("create {}", self.path))
                .with_effects(effects.unwrap_or_default()),
        ]
    }

    pub(super) fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let writes =
            |change: &Change| matches!(change.verb.as_str(), "create" | "replace" | "content");
        if changes.iter().any(writes) {
            let content = self.body.content()?;
            return host
                .write_file(&self.path, content, &self.ownership, self.validate.as_ref())
                .map_err(|error| self.discreet(error));
        }
        if changes
            .iter()
            .any(|change| matches!(change.verb.as_str(), "mode" | "owner"))
        {
            host.set_ownership(&self.path, &self.ownership)?;
        }
        Ok(())
    }

    pub(super) fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let Some(state) = host.stat(&self.path)? else {
            return Ok(Fingerprint {
                digest: Digest::of(b""),
                changed_at: None,
            });
        };
        let digest = match &state.kind {
            FileKind::File => host.digest(&self.path)?.unwrap_or_else(|| Digest::of(b"")),
            other => Digest::of(kind_in_words(other).as_bytes()),
        };
        Ok(Fingerprint {
            digest,
            changed_at: Some(state.changed_at),
        })
    }

    fn compare(&self, state: &FileState, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let drifts = drift(&self.path, state, &self.ownership, host)?;
        let wanted = self.body.digest()?;
        let found = host.digest(&self.path)?;
        let mut changes = Vec::new();
        if !self.keep && found != Some(wanted) {
            let before = if self.body.sensitive || state.size > MOST_TEXT {
                Before::Size(state.size)
            } else {
                host.read(&self.path)?
                    .map_or(Before::Nothing, Before::Content)
            };
            changes.push(self.write("content", self.content_text(), &before, host)?);
        }
        let held = if self.keep {
            found.unwrap_or(wanted)
        } else {
            wanted
        };
        for (verb, text) in drifts {
            changes.push(Change::new(verb, text).with_effects([self.effect(held)]));
        }
        Ok(changes)
    }

    fn content_text(&self) -> String {
        let sensitive = if self.body.sensitive {
            " (sensitive)"
        } else {
            ""
        };
        format!("content of {}{sensitive}", self.path)
    }

    fn write(
        &self,
        verb: &str,
        text: String,
        before: &Before,
        host: &dyn ReadHost,
    ) -> HostResult<Change> {
        Ok(Change {
            verb: verb.to_owned(),
            text,
            diff: Some(self.body.diff(before, host)?),
            impact: Impact::None,
            effects: vec![self.effect(self.body.digest()?)],
        })
    }

    fn effect(&self, digest: Digest) -> Effect {
        Effect::File {
            path: self.path.clone(),
            digest,
            mode: self.ownership.mode,
            owner: self.ownership.owner.clone(),
            group: self.ownership.group.clone(),
        }
    }

    /// A validator likes to quote the line that it does not like.
    fn discreet(&self, error: HostError) -> HostError {
        match error {
            HostError::Program {
                operation, status, ..
            } if self.body.sensitive => {
                let output = "(its output is not shown, for the file is sensitive)".to_owned();
                HostError::Program {
                    operation,
                    status,
                    output,
                }
            }
            error => error,
        }
    }
}

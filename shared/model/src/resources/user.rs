//! `user`: a user of the system.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::Account;
use crate::deserialize::{Error, Located};
use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostError, HostResult, ReadHost, UserRequest, UserState};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, Subject};

/// `user: webapp`. What is not given is left as it is, or to the system's defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Default: the next free one.
    uid: Option<u32>,
    /// The primary group. Default: one of the user's name, made with it.
    group: Option<Account>,
    /// Supplementary groups that the user must be in; further ones are left alone.
    groups: Option<Vec<Account>>,
    home: Option<AbsolutePath>,
    shell: Option<AbsolutePath>,
    comment: Option<Located<String>>,
    /// Take the number from those for daemons; only for a user that is yet to be made.
    #[serde(default)]
    system: bool,
    /// Make the home directory together with the user.
    #[serde(default)]
    create_home: bool,
}

struct User {
    name: String,
    request: UserRequest,
}

/// The fingerprint of something in /etc/passwd or /etc/group: since when it is so, only the whole
/// file tells, so that without a record a dependant may be restarted once too often.
pub(super) fn account_fingerprint(text: &str, host: &dyn ReadHost) -> HostResult<Fingerprint> {
    let mut changed_at = None;
    for file in ["/etc/passwd", "/etc/group"] {
        let path = AbsolutePath::try_from(file.to_owned())
            .map_err(|error| HostError::failed(format!("look at {file}"), error))?;
        changed_at = changed_at.max(host.stat(&path)?.map(|state| state.changed_at));
    }
    Ok(Fingerprint {
        digest: Digest::of(text.as_bytes()),
        changed_at,
    })
}

impl Declaration for Fields {
    const NAME: &'static str = "user";
    const HEALS: bool = true;
    const DOC: &'static str = "A user of the system.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        if let Some(Located { span, value }) = &self.comment
            && value.contains([':', '\n', '\0'])
        {
            return Err(Error::new(
                *span,
                "a comment cannot have a colon or a line break",
            ));
        }
        let mut groups: Option<Vec<String>> = self
            .groups
            .map(|groups| groups.into_iter().map(|group| group.0).collect());
        if let Some(groups) = &mut groups {
            groups.sort_unstable();
            groups.dedup();
        }
        let request = UserRequest {
            uid: self.uid,
            group: self.group.map(|group| group.0),
            home: self.home.map(String::from),
            shell: self.shell.map(String::from),
            comment: self.comment.map(|comment| comment.value),
            groups,
            system: self.system,
            create_home: self.create_home,
        };
        Ok(Box::new(User {
            name: place.name::<Account>()?.0,
            request,
        }))
    }
}

impl User {
    fn change(&self, verb: &str, text: String) -> Change {
        Change::new(verb, text).with_effects([Effect::User {
            name: self.name.clone(),
        }])
    }

    fn groups(&self) -> impl Iterator<Item = &String> {
        self.request
            .group
            .iter()
            .chain(self.request.groups.iter().flatten())
    }

    fn compare(&self, found: &UserState) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut compare = |verb: &str, found: &str, wanted: Option<&str>| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                changes.push(self.change(verb, format!("{verb} {found} → {wanted}")));
            }
        };
        let wanted = &self.request;
        let uid = wanted.uid.map(|uid| uid.to_string());
        compare("uid", &found.uid.to_string(), uid.as_deref());
        compare("group", &found.group, wanted.group.as_deref());
        compare("home", &found.home, wanted.home.as_deref());
        compare("shell", &found.shell, wanted.shell.as_deref());
        compare("comment", &found.comment, wanted.comment.as_deref());
        let missing: Vec<&str> = wanted
            .groups
            .iter()
            .flatten()
            .filter(|group| !found.groups.contains(group) && **group != found.group)
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            changes.push(self.change("groups", format!("into groups {}", missing.join(", "))));
        }
        changes
    }
}

impl Resource for User {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::User(self.name.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        self.groups().cloned().map(Subject::Group).collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let changes = match host.user(&self.name) {
            // A package that is yet to come may bring it; it is made here in any case.
            Err(HostError::NotYet(_)) | Ok(None) => self.intent(),
            Err(error) => return Err(error),
            Ok(Some(found)) => self.compare(&found),
        };
        if !changes.is_empty() {
            for group in self.groups() {
                if host.group(group)?.is_none() {
                    let operation = format!("set up user {}", self.name);
                    let cause = format!("there is no group `{group}`");
                    return Err(HostError::failed(operation, cause));
                }
            }
        }
        Ok(changes)
    }

    fn intent(&self) -> Vec<Change> {
        vec![self.change("create", format!("create user {}", self.name))]
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let mut request = self.request.clone();
        if let (Some(groups), Some(found)) = (&mut request.groups, host.user(&self.name)?) {
            // Those that it is in already, by other hands, stay.
            groups.extend(found.groups);
            groups.sort_unstable();
            groups.dedup();
        }
        host.set_user(&self.name, &request)
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        account_fingerprint(&format!("{:?}", host.user(&self.name)?), host)
    }
}

//! Users and groups, from /etc/passwd and /etc/group: no process, no NSS.

use std::path::Path;
use std::sync::Arc;

use brine_model::host::{GroupState, HostError, HostResult, UserState};

use super::stamp::Parsed;

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) comment: String,
    pub(super) home: String,
    pub(super) shell: String,
}

/// A line of /etc/group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) gid: u32,
    pub(super) members: Vec<String>,
}

pub(super) struct Accounts {
    users: Parsed<Vec<User>>,
    groups: Parsed<Vec<Group>>,
}

impl Accounts {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            users: Parsed::new(root.join("etc/passwd"), parse_users),
            groups: Parsed::new(root.join("etc/group"), parse_groups),
        }
    }

    pub(super) fn users(&self) -> HostResult<Arc<Vec<User>>> {
        self.users.get().map_err(|error| {
            HostError::failed(format!("read {}", self.users.path().display()), error)
        })
    }

    pub(super) fn groups(&self) -> HostResult<Arc<Vec<Group>>> {
        self.groups.get().map_err(|error| {
            HostError::failed(format!("read {}", self.groups.path().display()), error)
        })
    }

    /// The user's name, or the number where no user has it.
    pub(super) fn user_name(&self, uid: u32) -> HostResult<String> {
        let users = self.users()?;
        let found = users.iter().find(|user| user.uid == uid);
        Ok(found.map_or_else(|| uid.to_string(), |user| user.name.clone()))
    }

    pub(super) fn group_name(&self, gid: u32) -> HostResult<String> {
        let groups = self.groups()?;
        let found = groups.iter().find(|group| group.gid == gid);
        Ok(found.map_or_else(|| gid.to_string(), |group| group.name.clone()))
    }

    pub(super) fn find_user(&self, name: &str) -> HostResult<Option<User>> {
        Ok(self.users()?.iter().find(|user| user.name == name).cloned())
    }

    /// The number of a user named, or written as a number.
    pub(super) fn uid(&self, name: &str) -> HostResult<u32> {
        match self.find_user(name)? {
            Some(user) => Ok(user.uid),
            None => name.parse().map_err(|_| {
                HostError::failed(
                    format!("find user `{name}`"),
                    "there is none in /etc/passwd",
                )
            }),
        }
    }

    pub(super) fn gid(&self, name: &str) -> HostResult<u32> {
        match self.groups()?.iter().find(|group| group.name == name) {
            Some(group) => Ok(group.gid),
            None => name.parse().map_err(|_| {
                HostError::failed(
                    format!("find group `{name}`"),
                    "there is none in /etc/group",
                )
            }),
        }
    }

    pub(super) fn user(&self, name: &str) -> HostResult<Option<UserState>> {
        let Some(user) = self.find_user(name)? else {
            return Ok(None);
        };
        let mut groups: Vec<String> = self
            .groups()?
            .iter()
            .filter(|group| group.members.contains(&user.name))
            .map(|group| group.name.clone())
            .collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(Some(UserState {
            uid: user.uid,
            group: self.group_name(user.gid)?,
            home: user.home,
            shell: user.shell,
            comment: user.comment,
            groups,
        }))
    }

    pub(super) fn group(&self, name: &str) -> HostResult<Option<GroupState>> {
        let groups = self.groups()?;
        Ok(groups
            .iter()
            .find(|group| group.name == name)
            .map(|group| GroupState { gid: group.gid }))
    }
}

/// Lines that make no sense are left out, as the C library does.
fn parse_users(text: &str) -> Vec<User> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
            fields.next()?;
            let uid = fields.next()?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            let mut rest = fields.map(str::to_owned);
            Some(User {
                name,
                uid,
                gid,
                comment: rest.next()?,
                home: rest.next()?,
                shell: rest.next().unwrap_or_default(),
            })
        })
        .collect()
}

fn parse_groups(text: &str) -> Vec<Group> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
            fields.next()?;
            let gid = fields.next()?.parse().ok()?;
            let members = fields.next().unwrap_or_default();
            let members = members.split(',').filter(|member| !member.is_empty());
            Some(Group {
                name,
                gid,
                members: members.map(str::to_owned).collect(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(passwd: &str, group: &str) -> (tempfile::TempDir, Accounts) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(root.path().join("etc/group"), group).unwrap();
        let accounts = Accounts::new(root.path());
        (root, accounts)
    }

    #[test]
    fn a_user_with_its_groups() {
        let (_root, accounts) = accounts(
            "root:x:0:0:root:/root:/bin/bash\nnonsense\nweb:x:990:991:Web, app:/srv:/bin/sh\n",
            "root:x:0:\nweb:x:991:\nssl-cert:x:110:web,postgres\nadm:x:4:web\n",
        );
        let web = accounts.user("web").unwrap().unwrap();
        assert_eq!(
            (web.uid, web.group.as_str(), web.home.as_str()),
            (990, "web", "/srv")
        );
        assert_eq!(web.groups, ["adm", "ssl-cert"]);
        assert_eq!(accounts.user("nonsense"), Ok(None));
        assert_eq!(accounts.user_name(12345).unwrap(), "12345");
        assert_eq!(accounts.uid("12345"), Ok(12345));
        assert!(accounts.uid("nobody-here").is_err());
    }

    #[test]
    fn a_change_of_the_file_is_seen() {
        let (root, accounts) = accounts("a:x:1:1::/:\n", "");
        assert!(accounts.user("b").unwrap().is_none());
        std::fs::write(root.path().join("etc/passwd"), "a:x:1:1::/:\nb:x:2:2::/:\n").unwrap();
        assert_eq!(accounts.user("b").unwrap().unwrap().uid, 2);
    }
}

//! `postgres_role`: a role of a PostgreSQL server.

use serde::Deserialize;
use serde_json::Value as Json;

use super::super::declare::{Declaration, Place};
use super::super::field::{Account, Unit};
use super::super::secret;
use super::psql::{Psql, fingerprint, name};
use super::quote::{checked, identifier, literal};
use crate::deserialize::{Error, Located, OneOrMany, TextOrSecret};
use crate::host::{Fingerprint, Host, HostResult, ReadHost};
use crate::resource::{Change, Resource, ResourceId, Subject};
use crate::value::SecretText;

/// `postgres_role: webapp`. What is not given is left as it is, or to PostgreSQL's defaults; but a
/// new role may log in unless `login: false`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// Kept as SCRAM-SHA-256. Whether it is right is found out by logging in at 127.0.0.1.
    password: Option<TextOrSecret>,
    login: Option<bool>,
    superuser: Option<bool>,
    createdb: Option<bool>,
    createrole: Option<bool>,
    replication: Option<bool>,
    /// -1 for no limit.
    connection_limit: Option<i32>,
    /// Roles that it is a member of; further ones are left alone.
    #[serde(default)]
    member_of: OneOrMany<Located<String>>,
    /// The user of the system that the server's socket lets in as its superuser. Default: postgres.
    user: Option<Account>,
    /// Default: 5432.
    port: Option<u16>,
    /// The unit that the server runs in. Default: patroni or postgresql.
    service: Option<Unit>,
}

struct PostgresRole {
    id: ResourceId,
    psql: Psql,
    name: String,
    /// Given at all; the text is not on the server.
    has_password: bool,
    password: Option<SecretText>,
    /// Each with its SQL for yes, and whether that is wanted.
    attributes: Vec<(&'static str, bool)>,
    connection_limit: Option<i32>,
    member_of: Vec<String>,
}

impl Declaration for Fields {
    const NAME: &'static str = "postgres_role";
    const DOC: &'static str = "A role of the PostgreSQL server on this machine, with its password.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        if self.login == Some(false) && self.password.is_some() {
            let message = "a role that cannot log in has no use for a password";
            return Err(place.error("password", message));
        }
        let mut member_of = Vec::new();
        for Located { span, value } in self.member_of.0 {
            member_of.push(checked(&value).map_err(|why| Error::new(span, why))?);
        }
        let attributes = [
            ("LOGIN", self.login),
            ("SUPERUSER", self.superuser),
            ("CREATEDB", self.createdb),
            ("CREATEROLE", self.createrole),
            ("REPLICATION", self.replication),
        ];
        let given = attributes.into_iter();
        Ok(Box::new(PostgresRole {
            id: place.id.clone(),
            name: name(place.id, place)?,
            has_password: self.password.is_some(),
            password: secret::text("password", self.password, place)?,
            psql: Psql::new(self.user, self.port, self.service),
            attributes: given
                .filter_map(|(word, wanted)| Some((word, wanted?)))
                .collect(),
            connection_limit: self.connection_limit,
            member_of,
        }))
    }
}

fn word(attribute: &str, wanted: bool) -> String {
    format!("{}{attribute}", if wanted { "" } else { "NO" })
}

impl PostgresRole {
    fn look(&self, host: &dyn ReadHost) -> HostResult<Option<Json>> {
        let name = literal(&self.name);
        let sql = format!(
            "SELECT pg_catalog.json_build_object('LOGIN', r.rolcanlogin, 'SUPERUSER', r.rolsuper, \
             'CREATEDB', r.rolcreatedb, 'CREATEROLE', r.rolcreaterole, 'REPLICATION', \
             r.rolreplication, 'limit', r.rolconnlimit, 'member_of', ARRAY(SELECT g.rolname FROM \
             pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE \
             m.member = r.oid)) FROM pg_catalog.pg_roles r WHERE r.rolname = {name}"
        );
        self.psql.ask(&sql, host)
    }

    /// The words of `ALTER ROLE` for what differs.
    fn differing(&self, found: &Json) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for &(attribute, wanted) in &self.attributes {
            if found[attribute].as_bool() != Some(wanted) {
                words.push(word(attribute, wanted));
            }
        }
        if let Some(limit) = self.connection_limit
            && found["limit"].as_i64() != Some(limit.into())
        {
            words.push(format!("CONNECTION LIMIT {limit}"));
        }
        words
    }

    fn missing_groups(&self, found: Option<&Json>) -> Vec<&str> {
        let there = found.and_then(|found| found["member_of"].as_array());
        let there: Vec<&Json> = there.into_iter().flatten().collect();
        let missing = self
            .member_of
            .iter()
            .filter(|group| !there.iter().any(|known| known.as_str() == Some(group)));
        missing.map(String::as_str).collect()
    }

    fn password_change(&self) -> Change {
        Change::new("password", format!("set the password of {}", self.name))
    }

    fn grant_change(&self, groups: &[&str]) -> Change {
        let text = format!("make {} a member of {}", self.name, groups.join(", "));
        Change::new("grant", text)
    }

    fn create_sql(&self) -> String {
        let mut words = self.differing(&Json::Null);
        if !self
            .attributes
            .iter()
            .any(|(attribute, _)| *attribute == "LOGIN")
        {
            words.insert(0, "LOGIN".to_owned());
        }
        format!("CREATE ROLE {} {}", identifier(&self.name), words.join(" "))
    }
}

impl Resource for PostgresRole {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        let groups = self.member_of.iter();
        let roles = groups.map(|group| Subject::Nothing(ResourceId::new("postgres_role", group)));
        self.psql.needs().into_iter().chain(roles).collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let mut changes = Vec::new();
        let found = self.look(host)?;
        match &found {
            None => {
                changes.push(Change::new("create", format!("create role {}", self.name)));
                if self.has_password {
                    changes.push(self.password_change());
                }
            }
            Some(found) => {
                let words = self.differing(found);
                let may_log_in = found["LOGIN"] == true;
                if !words.is_empty() {
                    let text = format!("alter {}: {}", self.name, words.join(", "));
                    changes.push(Change::new("alter", text));
                }
                if let Some(password) = &self.password {
                    // Who cannot log in yet cannot be asked.
                    let right = may_log_in && self.psql.gets_in(&self.name, password, host)?;
                    if !right {
                        changes.push(self.password_change());
                    }
                }
            }
        }
        let groups = self.missing_groups(found.as_ref());
        if !groups.is_empty() {
            changes.push(self.grant_change(&groups));
        }
        Ok(changes)
    }

    fn intent(&self) -> Vec<Change> {
        let name = &self.name;
        let mut changes = vec![
            Change::new("create", format!("create role {name} if there is none")),
            Change::new("alter", format!("alter {name} where it differs")),
        ];
        if self.has_password {
            changes.push(self.password_change());
        }
        if !self.member_of.is_empty() {
            changes.push(self.grant_change(&self.missing_groups(None)));
        }
        changes
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let own = identifier(&self.name);
        for change in changes {
            let doing = format!("{} role {}", change.verb, self.name);
            match change.verb.as_str() {
                "create" => self.psql.run(&doing, &self.create_sql(), host)?,
                "alter" => {
                    let found = self.look(host.as_read())?.unwrap_or_default();
                    let words = self.differing(&found);
                    if !words.is_empty() {
                        let sql = format!("ALTER ROLE {own} {}", words.join(" "));
                        self.psql.run(&doing, &sql, host)?;
                    }
                }
                "password" => {
                    if let Some(password) = &self.password {
                        self.psql.set_password(&self.name, password, host)?;
                    }
                }
                "grant" => {
                    let found = self.look(host.as_read())?;
                    let groups = self.missing_groups(found.as_ref()).into_iter();
                    let groups = groups.map(identifier).collect::<Vec<_>>().join(", ");
                    if !groups.is_empty() {
                        let sql = format!("GRANT {groups} TO {own}");
                        self.psql.run(&doing, &sql, host)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What it may do; a password is not to be seen.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        Ok(fingerprint(self.look(host)?))
    }
}

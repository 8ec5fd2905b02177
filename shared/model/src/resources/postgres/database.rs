//! `postgres_database`: a database of a PostgreSQL server.

use serde::Deserialize;
use serde_json::Value as Json;

use super::super::declare::{Declaration, Place};
use super::super::field::{Account, Unit};
use super::psql::{Psql, fingerprint, name};
use super::quote::{checked, identifier, literal};
use crate::deserialize::{Error, Located};
use crate::host::{Fingerprint, Host, HostError, HostResult, ReadHost};
use crate::resource::{Change, Resource, ResourceId, Subject};

/// `postgres_database: webapp`. What is in it is the application's business.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// The role that it belongs to. Default: left as it is.
    owner: Option<Located<String>>,
    /// As in `UTF8`; cannot be changed later. Default: the server's.
    encoding: Option<Located<String>>,
    /// The database to copy. Default: template1, or template0 where an encoding is given.
    template: Option<Located<String>>,
    /// The user of the system that the server's socket lets in as its superuser. Default: postgres.
    user: Option<Account>,
    /// Default: 5432.
    port: Option<u16>,
    /// The unit that the server runs in. Default: patroni or postgresql.
    service: Option<Unit>,
}

struct PostgresDatabase {
    id: ResourceId,
    psql: Psql,
    name: String,
    owner: Option<String>,
    encoding: Option<String>,
    template: Option<String>,
}

impl Declaration for Fields {
    const NAME: &'static str = "postgres_database";
    const DOC: &'static str = "A database of the PostgreSQL server on this machine.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let check = |given: Option<Located<String>>| {
            let checked =
                given.map(|given| checked(&given.value).map_err(|why| Error::new(given.span, why)));
            checked.transpose()
        };
        let (owner, template) = (check(self.owner)?, check(self.template)?);
        if let Some(Located { span, value }) = &self.encoding {
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            if value.is_empty() || !value.bytes().all(good) {
                return Err(Error::new(*span, format!("`{value}` is not an encoding")));
            }
        }
        let encoding = self.encoding.map(|encoding| encoding.value);
        let plain = || encoding.as_ref().map(|_| "template0".to_owned());
        Ok(Box::new(PostgresDatabase {
            id: place.id.clone(),
            name: name(place.id, place)?,
            psql: Psql::new(self.user, self.port, self.service),
            owner,
            template: template.or_else(plain),
            encoding,
        }))
    }
}

impl PostgresDatabase {
    fn look(&self, host: &dyn ReadHost) -> HostResult<Option<Json>> {
        let name = literal(&self.name);
        let sql = format!(
            "SELECT pg_catalog.json_build_object('owner', \
             pg_catalog.pg_get_userbyid(d.datdba), 'encoding', \
             pg_catalog.pg_encoding_to_char(d.encoding)) FROM pg_catalog.pg_database d WHERE \
             d.datname = {name}"
        );
        self.psql.ask(&sql, host)
    }

    fn create_sql(&self) -> String {
        let mut sql = format!("CREATE DATABASE {}", identifier(&self.name));
        if let Some(owner) = &self.owner {
            sql.push_str(&format!(" OWNER {}", identifier(owner)));
        }
        if let Some(encoding) = &self.encoding {
            sql.push_str(&format!(" ENCODING {}", literal(encoding)));
        }
        if let Some(template) = &self.template {
            sql.push_str(&format!(" TEMPLATE {}", identifier(template)));
        }
        sql
    }
}

/// `utf-8` is `UTF8`.
fn spelling(encoding: &str) -> String {
    encoding.replace(['-', '_'], "").to_ascii_uppercase()
}

impl Resource for PostgresDatabase {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        let owner = self.owner.iter();
        let role = owner.map(|owner| Subject::Nothing(ResourceId::new("postgres_role", owner)));
        self.psql.needs().into_iter().chain(role).collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let Some(found) = self.look(host)? else {
            return Ok(vec![Change::new(
                "create",
                format!("create database {}", self.name),
            )]);
        };
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        if let Some(encoding) = &self.encoding
            && spelling(encoding) != spelling(&text("encoding"))
        {
            return Err(HostError::failed(
                format!("have database {} in {encoding}", self.name),
                format!(
                    "it is in {}, and PostgreSQL cannot change that: dump it, drop it and restore \
                     it, or declare what it is",
                    text("encoding")
                ),
            ));
        }
        let owner = self.owner.as_ref();
        Ok(match owner.filter(|owner| **owner != text("owner")) {
            Some(owner) => {
                vec![Change::new(
                    "owner",
                    format!("owner {} → {owner}", text("owner")),
                )]
            }
            None => Vec::new(),
        })
    }

    fn intent(&self) -> Vec<Change> {
        let text = format!("create database {} if there is none", self.name);
        let create = Change::new("create", text);
        let owner = self
            .owner
            .as_ref()
            .map(|owner| Change::new("owner", format!("owner of {} → {owner}", self.name)));
        std::iter::once(create).chain(owner).collect()
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        for change in changes {
            let doing = format!("{} database {}", change.verb, self.name);
            match (change.verb.as_str(), &self.owner) {
                ("create", _) => self.psql.run(&doing, &self.create_sql(), host)?,
                ("owner", Some(owner)) => {
                    let (name, owner) = (identifier(&self.name), identifier(owner));
                    let sql = format!("ALTER DATABASE {name} OWNER TO {owner}");
                    self.psql.run(&doing, &sql, host)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whose it is; not what is in it.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        Ok(fingerprint(self.look(host)?))
    }
}

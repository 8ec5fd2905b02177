//! `hosts_entry`: a name in /etc/hosts, on one line only.

use std::net::IpAddr;

use serde::Deserialize;

use super::certificate::certificate_name;
use super::declare::{Declaration, Place};
use super::lines::Lines;
use super::shared_file::{Edit, SharedFile};
use crate::deserialize::{Error, Located, OneOrMany};
use crate::host::{Fingerprint, Host, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, Subject};

const HOSTS: &str = "/etc/hosts";

/// `hosts_entry: db01`. Other names that stand on a line with it stay; lines of `localhost` are
/// never touched.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Where the name leads.
    address: Option<Located<String>>,
    /// Further names of the same address.
    #[serde(default)]
    aliases: OneOrMany<Located<String>>,
    /// The name, and the aliases, stand nowhere in the file.
    #[serde(default)]
    absent: bool,
}

struct HostsEntry {
    file: SharedFile,
    /// None where the names are to be gone.
    address: Option<String>,
    /// The entry's own name first.
    names: Vec<String>,
}

impl Declaration for Fields {
    const NAME: &'static str = "hosts_entry";
    const HEALS: bool = true;
    const DOC: &'static str = "A name and its aliases in /etc/hosts, on one line only.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let whole = place.fields.span;
        let own = Located {
            span: whole,
            value: place.id.name().to_owned(),
        };
        let mut names: Vec<String> = Vec::new();
        for Located { span, value } in std::iter::once(own).chain(self.aliases.0) {
            let name = host_name(&value).map_err(|why| Error::new(span, why))?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let address = match (self.address, self.absent) {
            (Some(given), false) => {
                let address: Result<IpAddr, _> = given.value.parse();
                let wrong = |_| Error::new(given.span, format!("`{}` is no address", given.value));
                Some(address.map_err(wrong)?.to_string())
            }
            (Some(given), true) => {
                return Err(Error::new(given.span, "`absent` contradicts an address"));
            }
            (None, false) => {
                return Err(Error::new(whole, "where the name leads is not said")
                    .with_help("give `address`, or `absent: true`"));
            }
            (None, true) => None,
        };
        let path = AbsolutePath::try_from(HOSTS.to_owned())
            .map_err(|error| Error::new(whole, error.to_string()))?;
        Ok(Box::new(HostsEntry {
            file: SharedFile {
                path,
                part: place.id.clone(),
                create: address.is_some(),
                sensitive: false,
            },
            address,
            names,
        }))
    }
}

fn host_name(text: &str) -> Result<String, String> {
    let name = certificate_name(text)
        .ok()
        .filter(|name| name.parse::<IpAddr>().is_err())
        .ok_or_else(|| format!("`{text}` is not the name of a host"))?;
    if is_local(&name) {
        return Err(format!("`{name}` belongs to the machine itself"));
    }
    Ok(name)
}

fn is_local(name: &str) -> bool {
    name == "localhost" || name.starts_with("localhost.") || name.starts_with("ip6-")
}

/// One line: address, names, and a comment behind.
struct Row {
    address: String,
    names: Vec<String>,
    comment: String,
}

impl Row {
    /// None for a comment or an empty line.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let (entry, comment) = match text.find('#') {
            Some(at) => text.split_at(at),
            None => (text.as_ref(), ""),
        };
        let mut words = entry.split_whitespace().map(str::to_owned);
        Some(Self {
            address: words.next()?,
            names: words.collect(),
            comment: comment.to_owned(),
        })
    }

    fn is_local(&self) -> bool {
        self.names.iter().any(|name| is_local(name))
            || matches!(&*self.address, "127.0.0.1" | "::1")
    }

    fn leads_to(&self, address: &str) -> bool {
        let parsed: Result<IpAddr, _> = self.address.parse();
        parsed.is_ok_and(|parsed| parsed.to_string() == address)
    }

    fn has(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    fn text(&self) -> String {
        let space = if self.comment.is_empty() { "" } else { "\t" };
        format!(
            "{}\t{}{space}{}",
            self.address,
            self.names.join(" "),
            self.comment
        )
    }
}

impl HostsEntry {
    fn edit(&self, lines: &mut Lines) -> Result<Edit, String> {
        let ours = |row: &Row| self.names.iter().any(|name| row.has(name));
        let found = lines.places(|text| Row::parse(text).is_some_and(|row| ours(&row)));
        // The line that stays: the first that leads where it should.
        let mut owner = None;
        let (mut changed, mut was) = (false, Vec::new());
        for &place in found.iter().rev() {
            let Some(row) = lines.get(place).and_then(Row::parse) else {
                continue;
            };
            if row.is_local() {
                let name = self.names.iter().find(|name| row.has(name));
                return Err(format!(
                    "`{}` stands on the line of {}, which is left alone: take it off by hand",
                    name.map_or("", String::as_str),
                    row.address
                ));
            }
            was.insert(0, row.address.clone());
            let leads = self
                .address
                .as_ref()
                .is_some_and(|address| row.leads_to(address));
            let named = self.names.first().is_some_and(|name| row.has(name));
            let first = leads
                && named
                && !found
                    .iter()
                    .any(|&earlier| earlier < place && self.may_own(lines.get(earlier)));
            if first {
                owner = Some(place);
                continue;
            }
            changed = true;
            let names = row.names.iter();
            let others: Vec<String> = names
                .filter(|name| !self.names.iter().any(|own| own.eq_ignore_ascii_case(name)))
                .cloned()
                .collect();
            if others.is_empty() {
                lines.remove(place);
                owner = owner.map(|owner| owner - usize::from(place < owner));
            } else {
                let rest = Row {
                    names: others,
                    ..row
                };
                lines.replace(place, rest.text().as_bytes());
            }
        }
        let name = self.names.first().map_or("", String::as_str);
        let Some(address) = &self.address else {
            return Ok(changed.then(|| ("remove", format!("remove {name} ({})", was.join(", ")))));
        };
        let row = owner.and_then(|place| Some((place, Row::parse(lines.get(place)?)?)));
        match row {
            Some((place, mut row)) => {
                let missing: Vec<String> = self
                    .names
                    .iter()
                    .filter(|name| !row.has(name))
                    .cloned()
                    .collect();
                if missing.is_empty() {
                    let text = || format!("{name} leads to {address} only");
                    return Ok(changed.then(|| ("set", text())));
                }
                let text = format!("{name} is also {}", missing.join(", "));
                row.names.extend(missing);
                lines.replace(place, row.text().as_bytes());
                Ok(Some(("set", text)))
            }
            None => {
                let text = if was.is_empty() {
                    format!("{name} leads to {address}")
                } else {
                    format!("{name} leads to {} → {address}", was.join(", "))
                };
                let row = Row {
                    address: address.clone(),
                    names: self.names.clone(),
                    comment: String::new(),
                };
                lines.insert(lines.len(), row.text().as_bytes());
                Ok(Some(("set", text)))
            }
        }
    }

    /// Whether the line is one that our own name may stay on.
    fn may_own(&self, line: Option<&[u8]>) -> bool {
        let (Some(row), Some(address)) = (line.and_then(Row::parse), &self.address) else {
            return false;
        };
        let named = self.names.first().is_some_and(|name| row.has(name));
        row.leads_to(address) && named
    }
}

impl Resource for HostsEntry {
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
        let name = self.file.part.name();
        match &self.address {
            Some(address) => self
                .file
                .intent("set", format!("{name} leads to {address}")),
            None => self.file.intent("remove", format!("remove {name}")),
        }
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        self.file.apply(host, &|lines| self.edit(lines))
    }

    /// Where the names lead.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        self.file.fingerprint(host, |lines| {
            let rows = (0..lines.len()).filter_map(|place| Row::parse(lines.get(place)?));
            let mut text = String::new();
            for row in rows {
                for name in self.names.iter().filter(|name| row.has(name)) {
                    text.push_str(&format!("{name} {}\n", row.address));
                }
            }
            text.into_bytes()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::tests::{check_fails, check_plan};
    use super::HOSTS;
    use crate::converge::fake::{FakeHost, Scene, check_converges};

    #[track_caller]
    fn check(before: &str, fields: Json, text: &str, after: &str) {
        let mut host = FakeHost::new();
        host.put(HOSTS, before);
        let texts = if text.is_empty() { vec![] } else { vec![text] };
        check_plan(&host, "hosts_entry:db01", fields.clone(), &texts);
        check_converges(&Scene::new(&[("hosts_entry:db01", fields)]), &mut host);
        assert_eq!(host.text(HOSTS).as_deref(), Some(after));
    }

    const LOCAL: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n";

    #[test]
    fn one_line_owns_the_name() {
        let db = || json!({"address": "10.0.0.1"});
        check("", db(), "db01 leads to 10.0.0.1", "10.0.0.1\tdb01\n");
        check("10.0.0.1  db01 # x", db(), "", "10.0.0.1  db01 # x");
        check(
            "10.0.0.9 db01 web # old\n10.0.0.8 DB01\n# 10.0.0.7 db01\n",
            db(),
            "db01 leads to 10.0.0.9, 10.0.0.8 → 10.0.0.1",
            "10.0.0.9\tweb\t# old\n# 10.0.0.7 db01\n10.0.0.1\tdb01\n",
        );
        check(
            "10.0.0.9 db01\n10.0.0.1 other db01\n10.0.0.1 db01\n",
            db(),
            "db01 leads to 10.0.0.1 only",
            "10.0.0.1 other db01\n",
        );
        check(
            "127.0.1.1 db01.example.org db01\n",
            db(),
            "db01 leads to 127.0.1.1 → 10.0.0.1",
            "127.0.1.1\tdb01.example.org\n10.0.0.1\tdb01\n",
        );
    }

    #[test]
    fn aliases_and_removal() {
        let db = || json!({"address": "10.0.0.1", "aliases": ["db01.lan", "pg"]});
        check(
            "10.0.0.1 db01\n10.0.0.2 pg x\n",
            db(),
            "db01 is also db01.lan, pg",
            "10.0.0.1\tdb01 db01.lan pg\n10.0.0.2\tx\n",
        );
        check(
            "10.0.0.1 x db01.lan pg db01\n",
            db(),
            "",
            "10.0.0.1 x db01.lan pg db01\n",
        );
        let gone = || json!({"absent": true});
        check(
            "10.0.0.1 db01\n10.0.0.2 db01 x\n",
            gone(),
            "remove db01 (10.0.0.1, 10.0.0.2)",
            "10.0.0.2\tx\n",
        );
        check(LOCAL, gone(), "", LOCAL);
        let six = json!({"address": "2001:DB8:0::1"});
        check("2001:db8::1 db01\n", six, "", "2001:db8::1 db01\n");
    }

    #[test]
    fn localhost_is_left_alone() {
        let after = format!("{LOCAL}10.0.0.1\tdb01\n");
        let db = || json!({"address": "10.0.0.1"});
        check(LOCAL, db(), "db01 leads to 10.0.0.1", &after);
        let mut host = FakeHost::new();
        host.put(HOSTS, "127.0.0.1 localhost db01\n");
        let why = "cannot edit /etc/hosts: `db01` stands on the line of 127.0.0.1, which is left \
                   alone: take it off by hand";
        check_plan(&host, "hosts_entry:db01", db(), &[why]);
        for name in ["localhost", "ip6-allnodes"] {
            let why = format!("`{name}` belongs to the machine itself");
            check_fails(&format!("hosts_entry:{name}"), db(), &why);
        }
    }

    #[test]
    fn a_missing_file_and_several_entries() {
        let entry = |address: &str| json!({"address": address});
        let scene = Scene::new(&[
            ("hosts_entry:db01", entry("10.0.0.1")),
            ("hosts_entry:db02", entry("10.0.0.2")),
        ]);
        let mut host = FakeHost::new();
        check_converges(&scene, &mut host);
        let expected = "10.0.0.1\tdb01\n10.0.0.2\tdb02\n";
        assert_eq!(host.text(HOSTS).as_deref(), Some(expected));
    }

    #[test]
    fn what_makes_no_sense() {
        let missing = "where the name leads is not said: give `address`, or `absent: true`";
        check_fails("hosts_entry:a", json!({}), missing);
        check_fails(
            "hosts_entry:a",
            json!({"address": "a"}),
            "`a` is no address",
        );
        check_fails(
            "hosts_entry:10.0.0.1",
            json!({"address": "10.0.0.1"}),
            "`10.0.0.1` is not the name of a host",
        );
    }
}

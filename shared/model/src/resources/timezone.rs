//! `timezone`: what time it is here.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::managed::{kind_in_words, ownership, wrong_kind};
use crate::deserialize::Error;
use crate::digest::Digest;
use crate::host::{Content, FileKind, Fingerprint, Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, Subject};

const ZONES: &str = "/usr/share/zoneinfo";

/// `timezone: Europe/Berlin`. What runs already keeps the zone it started with: let it watch this
/// with `restart_on`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {}

struct Timezone {
    zone: String,
    /// Where it is defined.
    definition: AbsolutePath,
    /// /etc/localtime: what the C library reads.
    link: AbsolutePath,
    /// /etc/timezone: what Debian's own tools read.
    name: AbsolutePath,
}

impl Declaration for Fields {
    const NAME: &'static str = "timezone";
    const HEALS: bool = true;
    const DOC: &'static str = "The time zone: /etc/localtime and /etc/timezone.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let zone = place.id.name().to_owned();
        let wrong = |why: String| Error::new(place.fields.span, why);
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'/');
        if !zone.bytes().all(good) {
            return Err(wrong(format!("`{zone}` is not the name of a time zone"))
                .with_help("write it as in `timedatectl list-timezones`: Europe/Berlin"));
        }
        let path = |path: String| AbsolutePath::try_from(path).map_err(|e| wrong(e.to_string()));
        Ok(Box::new(Timezone {
            definition: path(format!("{ZONES}/{zone}"))?,
            link: path("/etc/localtime".to_owned())?,
            name: path("/etc/timezone".to_owned())?,
            zone,
        }))
    }
}

impl Timezone {
    fn set(&self, text: String) -> Vec<Change> {
        let link = Effect::Symlink {
            path: self.link.clone(),
            target: self.definition.to_string(),
        };
        let name = Effect::File {
            path: self.name.clone(),
            digest: Digest::of(self.content().as_bytes()),
            mode: 0o644,
            owner: "root".to_owned(),
            group: "root".to_owned(),
        };
        vec![Change::new("set", text).with_effects([link, name])]
    }

    fn content(&self) -> String {
        format!("{}\n", self.zone)
    }

    /// The zone that a link leads to; `timedatectl` makes relative ones.
    fn linked<'a>(&self, target: &'a str) -> Option<&'a str> {
        let path = target.strip_prefix("..").unwrap_or(target);
        path.strip_prefix(ZONES)?.strip_prefix('/')
    }

    fn check_exists(&self, host: &dyn ReadHost) -> HostResult<()> {
        let known = host.stat(&self.definition)?;
        if known.is_some_and(|state| state.kind != FileKind::Directory) {
            return Ok(());
        }
        let tzdata = Subject::Package("tzdata".to_owned());
        if let Some(earlier) = host.coming(&tzdata) {
            return Err(HostError::NotYet(earlier));
        }
        let cause = if host.package("tzdata")?.installed.is_some() {
            "there is no such zone".to_owned()
        } else {
            format!(
                "there is no {}: is the package tzdata installed?",
                self.definition
            )
        };
        Err(HostError::failed(
            format!("set the time zone {}", self.zone),
            cause,
        ))
    }
}

impl Resource for Timezone {
    fn subjects(&self) -> Vec<Subject> {
        vec![
            Subject::Path(self.link.clone()),
            Subject::Path(self.name.clone()),
        ]
    }

    fn needs(&self) -> Vec<Subject> {
        vec![Subject::Package("tzdata".to_owned())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        self.check_exists(host)?;
        let before = match host.stat(&self.link)?.map(|state| state.kind) {
            None => "UTC".to_owned(),
            Some(FileKind::Symlink { target }) => match self.linked(&target) {
                Some(zone) => zone.to_owned(),
                None => target,
            },
            Some(FileKind::File) => "a copy of a zone".to_owned(),
            Some(other) => return Err(wrong_kind(&self.link, "a symbolic link", &other)),
        };
        if before != self.zone {
            return Ok(self.set(format!("time zone {before} → {}", self.zone)));
        }
        let named = host.digest(&self.name)?;
        if named == Some(Digest::of(self.content().as_bytes())) && self.is_link(host)? {
            return Ok(Vec::new());
        }
        Ok(self.set(format!("name {} in {}", self.zone, self.name)))
    }

    fn intent(&self) -> Vec<Change> {
        self.set(format!("time zone {}", self.zone))
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let ownership = ownership(None, 0o644, None, None);
        let content = Content::Bytes(self.content().into_bytes());
        host.write_file(&self.name, &content, &ownership, None)?;
        host.make_symlink(&self.link, self.definition.as_str())
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let state = host.stat(&self.link)?;
        let text = state.as_ref().map(|state| kind_in_words(&state.kind));
        Ok(Fingerprint {
            digest: Digest::of(text.unwrap_or_default().as_bytes()),
            changed_at: state.map(|state| state.changed_at),
        })
    }
}

impl Timezone {
    /// UTC needs no link, but a machine that has been told so has one.
    fn is_link(&self, host: &dyn ReadHost) -> HostResult<bool> {
        Ok(host.stat(&self.link)?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{check_fails, check_plan};
    use crate::converge::fake::{
        FakeHost, FakePackage, Scene, check_converges, fake_path, summary,
    };
    use crate::host::{FileKind, Host};

    fn host() -> FakeHost {
        let mut host = FakeHost::new();
        for zone in ["Europe/Berlin", "UTC"] {
            host.put(&format!("/usr/share/zoneinfo/{zone}"), "TZif");
        }
        host
    }

    #[test]
    fn link_and_name() {
        let mut host = host();
        let id = "timezone:Europe/Berlin";
        let scene = Scene::new(&[(id, json!({}))]);
        check_plan(&host, id, json!({}), &["time zone UTC → Europe/Berlin"]);
        check_converges(&scene, &mut host);
        let target = "/usr/share/zoneinfo/Europe/Berlin".to_owned();
        let link = &host.files[&fake_path("/etc/localtime")];
        assert_eq!(link.kind, FileKind::Symlink { target });
        assert_eq!(
            host.text("/etc/timezone").as_deref(),
            Some("Europe/Berlin\n")
        );

        // As timedatectl leaves it.
        let local = fake_path("/etc/localtime");
        host.make_symlink(&local, "../usr/share/zoneinfo/Europe/Berlin")
            .unwrap();
        check_plan(&host, id, json!({}), &[]);
        host.put("/etc/timezone", "Etc/UTC\n");
        check_plan(
            &host,
            id,
            json!({}),
            &["name Europe/Berlin in /etc/timezone"],
        );
        host.put("/etc/localtime", "TZif");
        let copy = "time zone a copy of a zone → Europe/Berlin";
        check_plan(&host, id, json!({}), &[copy]);
        check_converges(&scene, &mut host);
        check_converges(&Scene::new(&[("timezone:UTC", json!({}))]), &mut host);
    }

    #[test]
    fn a_bare_machine_says_utc() {
        let mut host = host();
        check_converges(&Scene::new(&[("timezone:UTC", json!({}))]), &mut host);
        assert!(host.files.contains_key(&fake_path("/etc/localtime")));
    }

    #[test]
    fn zones_that_are_none() {
        let mut host = host();
        let why = "cannot set the time zone Europe/Bonn: there is no /usr/share/zoneinfo/Europe/Bonn: \
                   is the package tzdata installed?";
        check_plan(&host, "timezone:Europe/Bonn", json!({}), &[why]);
        host.repository
            .insert("tzdata".into(), FakePackage::new(&["1"]));
        let with = |zone: &str| Scene::new(&[("package:tzdata", json!({})), (zone, json!({}))]);
        let plan = with("timezone:Europe/Bonn").plan(&host);
        let after = "timezone:Europe/Bonn: after package:tzdata: set";
        assert_eq!(summary(&plan), ["package:tzdata: install", after]);
        check_converges(&with("timezone:Europe/Berlin"), &mut host);
        let why = "cannot set the time zone Europe/Bonn: there is no such zone";
        check_plan(&host, "timezone:Europe/Bonn", json!({}), &[why]);
        check_fails(
            "timezone:../../../etc/passwd",
            json!({}),
            "`../../../etc/passwd` is not the name of a time zone: write it as in `timedatectl \
             list-timezones`: Europe/Berlin",
        );
    }
}

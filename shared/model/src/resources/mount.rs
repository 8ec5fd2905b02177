//! `mount`: a file system at its place, now and at every boot.

use serde::Deserialize;

use super::content::{Body, Given};
use super::declare::{Declaration, Place};
use super::managed::{ManagedFile, ownership};
use super::owed::{self, Reads, Watched};
use super::unit::{Definition, UNITS};
use crate::deserialize::{Error, Located, OneOrMany, TextOrSecret};
use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostResult, ReadHost, UnitState, UnitVerb};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Impact, Resource, ResourceId, Subject};

/// `mount: /srv/brick`. It is a mount unit of systemd, which also makes the directory where there is
/// none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// What is mounted: a device (best by label or UUID), `server:/export`.
    device: Located<String>,
    /// The file system's type: `xfs`, `ext4`, `nfs`.
    #[serde(rename = "type")]
    file_system: Located<String>,
    /// As in /etc/fstab, one by one: `noatime`, `_netdev`.
    #[serde(default)]
    options: OneOrMany<Located<String>>,
    /// False: it is neither mounted now nor at boot. Default: true.
    mounted: Option<bool>,
}

struct Mount {
    id: ResourceId,
    path: AbsolutePath,
    definition: Definition,
    /// What is mounted there, without the options: those can change while it is in use.
    what: Digest,
    mounted: bool,
}

/// File systems for which systemd waits for the network.
const NETWORK: &[&str] = &[
    "ceph",
    "cifs",
    "gfs2",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "sshfs",
];

impl Declaration for Fields {
    const NAME: &'static str = "mount";
    const HEALS: bool = true;
    const DOC: &'static str = "A file system at its place: mounted now and at every boot.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let path = place.path()?;
        if path.as_str() == "/" {
            let message = "the root file system is mounted by whoever boots the machine";
            return Err(Error::new(place.fields.span, message));
        }
        let Self {
            device,
            file_system,
            options,
            mounted,
        } = self;
        let device = word(device, "something to mount", "")?;
        let file_system = word(file_system, "the type of a file system", ",/")?;
        let options = options
            .0
            .into_iter()
            .map(|option| word(option, "an option", ","));
        let options: Vec<String> = options.collect::<Result<_, _>>()?;
        let text = unit_file(&path, &device, &file_system, &options);
        let given = Given {
            template: None,
            source: None,
            content: Some(TextOrSecret::Text(text)),
        };
        let unit = unit_name(&path);
        let file = AbsolutePath::try_from(format!("{UNITS}/{unit}"))
            .map_err(|error| Error::new(place.fields.span, error.to_string()))?;
        Ok(Box::new(Mount {
            id: place.id.clone(),
            path,
            definition: Definition {
                unit,
                file: ManagedFile {
                    path: file,
                    body: Body::build(given, "`device`", false, place)?,
                    ownership: ownership(None, 0o644, None, None),
                    validate: None,
                    keep: false,
                },
            },
            what: Digest::of_parts([device.as_bytes(), file_system.as_bytes()]),
            mounted: mounted.unwrap_or(true),
        }))
    }
}

/// A value of the unit file: no space or control character, which systemd would take apart, and
/// none of `forbidden`. A `%` means itself.
fn word(given: Located<String>, what: &str, forbidden: &str) -> Result<String, Error> {
    let text = given.value;
    let bad = |c: char| c.is_whitespace() || c.is_control() || forbidden.contains(c);
    if text.is_empty() || text.starts_with('-') || text.contains(bad) {
        return Err(Error::new(given.span, format!("`{text}` is not {what}")));
    }
    Ok(text.replace('%', "%%"))
}

/// The name that systemd asks for: `/srv/a-b` is `srv-a\x2db.mount` (systemd-escape(1)).
fn unit_name(path: &AbsolutePath) -> String {
    let relative = path.as_str().trim_start_matches('/');
    let mut name = String::with_capacity(relative.len() + 6);
    for (place, byte) in relative.bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if place == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => {
                name.push(char::from(byte));
            }
            other => name.push_str(&format!("\\x{other:02x}")),
        }
    }
    name + ".mount"
}

fn unit_file(path: &AbsolutePath, device: &str, kind: &str, options: &[String]) -> String {
    let network = NETWORK.contains(&kind) || options.iter().any(|option| option == "_netdev");
    let target = if network {
        "remote-fs.target"
    } else {
        "local-fs.target"
    };
    let options = if options.is_empty() {
        String::new()
    } else {
        format!("Options={}\n", options.join(","))
    };
    let place = path.as_str().replace('%', "%%");
    format!(
        "[Unit]\nDescription={place}\n\n[Mount]\nWhat={device}\nWhere={place}\nType={kind}\n\
         {options}\n[Install]\nWantedBy={target}\n"
    )
}

impl Mount {
    fn unit(&self) -> &str {
        &self.definition.unit
    }

    fn mark(&self) -> String {
        format!("mount:{}", self.path)
    }

    fn change(&self, verb: &str, impact: Impact) -> Change {
        let state = Effect::Service {
            unit: self.unit().to_owned(),
            running: self.mounted,
            enabled: self.mounted,
        };
        let text = match verb {
            "remount" => format!("remount {} with its present options", self.path),
            "replace" => format!("unmount {} and mount what belongs there", self.path),
            "enable" => format!("mount {} at boot", self.path),
            "disable" => format!("do not mount {} at boot", self.path),
            verb => format!("{verb} {}", self.path),
        };
        let directory = Effect::Directory {
            path: self.path.clone(),
            mode: 0o755,
            owner: "root".to_owned(),
            group: "root".to_owned(),
        };
        let there = (verb == "mount").then_some(directory);
        Change::new(verb, text)
            .with_impact(impact)
            .with_effects(there.into_iter().chain([state]))
    }

    fn plan_boot(&self, state: &UnitState) -> Option<Change> {
        match (self.mounted, state.enabled.as_str()) {
            (true, "enabled") => None,
            (true, _) => Some(self.change("enable", Impact::None)),
            (false, "enabled" | "enabled-runtime") => Some(self.change("disable", Impact::None)),
            (false, _) => None,
        }
    }

    fn plan_now(
        &self,
        state: &UnitState,
        rewritten: bool,
        host: &dyn ReadHost,
    ) -> HostResult<Option<Change>> {
        Ok(match (self.mounted, state.is_active()) {
            (true, false) => Some(self.change("mount", Impact::None)),
            (true, true) if rewritten || self.is_owed(state, host)? => {
                let same = host.mark(&self.mark())? == Some(self.what);
                Some(if same {
                    self.change("remount", Impact::Reload)
                } else {
                    self.change("replace", Impact::Restart)
                })
            }
            (false, true) => Some(self.change("unmount", Impact::Restart)),
            _ => None,
        })
    }

    /// Whether it was mounted before the unit file became what it is.
    fn is_owed(&self, state: &UnitState, host: &dyn ReadHost) -> HostResult<bool> {
        let record = host.restart_record(self.unit())?;
        let ids = [self.id.clone()];
        let watched = self.look(host)?;
        Ok(!owed::owed(&ids, state, record.as_ref(), &watched, Reads::AtStart).is_empty())
    }

    fn look(&self, host: &dyn ReadHost) -> HostResult<Watched> {
        let print = self.definition.file.fingerprint(host)?;
        Ok(Watched::from([(self.id.clone(), print)]))
    }

    fn run(&self, verb: UnitVerb, host: &mut dyn Host) -> HostResult<()> {
        let watched = self.look(host.as_read())?;
        host.unit_verb(self.unit(), verb)?;
        self.note(&watched, host)
    }

    /// Notes what is mounted: first what, then with which options, so that a crash in between costs
    /// a remount at most.
    fn note(&self, watched: &Watched, host: &mut dyn Host) -> HostResult<()> {
        if host.mark(&self.mark())? != Some(self.what) {
            host.set_mark(&self.mark(), self.what)?;
        }
        let state = host.unit(self.unit())?;
        owed::note(self.unit(), &state, watched, host)
    }
}

impl Resource for Mount {
    fn subjects(&self) -> Vec<Subject> {
        vec![
            Subject::Path(self.path.clone()),
            Subject::Path(self.definition.file.path.clone()),
            Subject::UnitFile(self.unit().to_owned()),
            Subject::Service(self.unit().to_owned()),
        ]
    }

    fn needs(&self) -> Vec<Subject> {
        self.path.parent().map(Subject::Path).into_iter().collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let mut changes = self.definition.plan(host)?;
        let rewritten = changes.iter().any(|change| change.verb != "daemon-reload");
        let state = host.unit(self.unit())?;
        changes.extend(self.plan_boot(&state));
        changes.extend(self.plan_now(&state, rewritten, host)?);
        Ok(changes)
    }

    fn intent(&self) -> Vec<Change> {
        let (boot, now) = if self.mounted {
            ("enable", "mount")
        } else {
            ("disable", "unmount")
        };
        let ours = [boot, now].map(|verb| self.change(verb, Impact::None));
        self.definition.intent().into_iter().chain(ours).collect()
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let ours = [
            "enable", "disable", "mount", "remount", "replace", "unmount",
        ];
        let (ours, definition): (Vec<_>, Vec<_>) = changes
            .iter()
            .cloned()
            .partition(|change| ours.contains(&change.verb.as_str()));
        if !definition.is_empty() {
            self.definition.apply(&definition, host)?;
        }
        for change in ours {
            match change.verb.as_str() {
                "enable" => host.unit_verb(self.unit(), UnitVerb::Enable)?,
                "disable" => host.unit_verb(self.unit(), UnitVerb::Disable)?,
                "mount" => self.run(UnitVerb::Start, host)?,
                "remount" => self.run(UnitVerb::Reload, host)?,
                "replace" => self.run(UnitVerb::Restart, host)?,
                _ => host.unit_verb(self.unit(), UnitVerb::Stop)?,
            }
        }
        Ok(())
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        owed::process(self.unit(), host)
    }

    /// Notes what is mounted, where that is not noted yet: after a boot, a crash, an adoption.
    fn confirm(&self, host: &mut dyn Host) -> HostResult<()> {
        let state = host.unit(self.unit())?;
        if !self.mounted || !state.is_active() {
            return Ok(());
        }
        let watched = self.look(host.as_read())?;
        if self.is_owed(&state, host.as_read())? {
            return Ok(());
        }
        self.note(&watched, host)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::unit_name;
    use crate::converge::fake::{FakeHost, Scene, check_converges, check_settles, summary};
    use crate::host::ReadHost as _;
    use crate::resource::Impact;

    const UNIT: &str = "srv-brick.mount";
    const FILE: &str = "/etc/systemd/system/srv-brick.mount";

    fn scene(fields: &Json) -> Scene {
        Scene::new(&[
            ("mount:/srv/brick", fields.clone()),
            ("directory:/srv/brick/static", json!({})),
        ])
    }

    fn brick(options: &Json) -> Scene {
        scene(&json!({"device": "/dev/vdb", "type": "xfs", "options": options}))
    }

    /// A host on which the kernel takes note of the unit's options when it is reloaded, or of the
    /// whole only when it is mounted.
    fn host(whole: bool) -> FakeHost {
        let mut host = FakeHost::new();
        host.reads(UNIT, FILE, whole);
        host.units.get_mut(UNIT).expect("a unit").can_reload = true;
        host
    }

    #[test]
    fn names_are_systemds() {
        for (path, name) in [
            ("/srv/brick", "srv-brick.mount"),
            ("/srv/a-b/.c", "srv-a\\x2db-.c.mount"),
            ("/.x", "\\x2ex.mount"),
            ("/srv/über", "srv-\\xc3\\xbcber.mount"),
        ] {
            assert_eq!(unit_name(&path.parse().expect("a path")), name);
        }
    }

    #[test]
    fn mounted_now_and_at_boot() {
        let mut host = host(false);
        let (plan, _) = check_converges(&brick(&json!(["noatime"])), &mut host);
        assert_eq!(
            summary(&plan),
            [
                "mount:/srv/brick: create, daemon-reload, enable, mount",
                "directory:/srv/brick/static: create"
            ]
        );
        assert_eq!(plan.impact(), Impact::None);
        assert_eq!(
            host.text(FILE).expect("written"),
            "[Unit]\nDescription=/srv/brick\n\n[Mount]\nWhat=/dev/vdb\nWhere=/srv/brick\nType=xfs\n\
             Options=noatime\n\n[Install]\nWantedBy=local-fs.target\n"
        );
        host.reboot();
        assert!(brick(&json!(["noatime"])).apply(&mut host).succeeded());
        check_settles(&brick(&json!(["noatime"])), &mut host);
        assert!(host.unit(UNIT).expect("known").is_active());
    }

    #[test]
    fn options_change_while_it_is_in_use_and_a_device_does_not() {
        let mut busy = host(false);
        check_converges(&brick(&json!([])), &mut busy);
        let plan = brick(&json!(["noatime"])).plan(&busy);
        assert_eq!(
            summary(&plan)[0],
            "mount:/srv/brick: content, daemon-reload, remount"
        );
        assert_eq!(plan.impact(), Impact::Reload);
        check_converges(&brick(&json!(["noatime"])), &mut busy);
        check_settles(&brick(&json!(["noatime"])), &mut busy);

        let mut host = host(true);
        check_converges(&brick(&json!([])), &mut host);
        let other = scene(&json!({"device": "LABEL=brick", "type": "xfs"}));
        let plan = other.plan(&host);
        assert_eq!(
            summary(&plan)[0],
            "mount:/srv/brick: content, daemon-reload, replace"
        );
        assert_eq!(plan.impact(), Impact::Restart);
        check_converges(&other, &mut host);
        check_settles(&other, &mut host);
    }

    #[test]
    fn what_is_mounted_by_hand_is_adopted() {
        let mut host = host(false);
        check_converges(&brick(&json!([])), &mut host);
        host.records.clear();
        host.marks.clear();
        host.restart_by_hand(UNIT);
        assert!(brick(&json!([])).apply(&mut host).succeeded());
        check_settles(&brick(&json!([])), &mut host);
        assert!(!host.records.is_empty() && !host.marks.is_empty());
    }

    #[test]
    fn taken_away() {
        let mut host = host(false);
        check_converges(&brick(&json!([])), &mut host);
        let gone = scene(&json!({"device": "/dev/vdb", "type": "xfs", "mounted": false}));
        let plan = gone.plan(&host);
        assert_eq!(summary(&plan)[0], "mount:/srv/brick: disable, unmount");
        assert_eq!(plan.impact(), Impact::Restart);
        check_converges(&gone, &mut host);
        assert!(!host.unit(UNIT).expect("known").is_active());
    }

    #[test]
    fn of_the_network() {
        let mut host = FakeHost::new();
        for (kind, options, target) in [
            ("nfs", json!([]), "remote-fs.target"),
            ("xfs", json!(["_netdev"]), "remote-fs.target"),
            ("ext4", json!([]), "local-fs.target"),
        ] {
            let fields = json!({"device": "files:/static", "type": kind, "options": options});
            check_converges(&Scene::new(&[("mount:/mnt/x", fields)]), &mut host);
            let text = host.text("/etc/systemd/system/mnt-x.mount");
            assert!(text.expect("written").contains(target), "{kind}");
            host = FakeHost::new();
        }
    }

    #[test]
    fn what_makes_no_sense() {
        let good = json!({"device": "/dev/vdb", "type": "xfs"});
        assert!(
            Scene::new(&[("mount:/srv", good.clone())])
                .try_prepare()
                .is_ok()
        );
        assert!(Scene::new(&[("mount:/", good)]).try_prepare().is_err());
        for (field, value) in [
            ("device", json!("")),
            ("device", json!("/dev/vdb\nOptions=suid")),
            ("device", json!("-o")),
            ("type", json!("xfs,ext4")),
            ("options", json!(["a,b"])),
            ("options", json!([" "])),
        ] {
            let mut fields = json!({"device": "/dev/vdb", "type": "xfs"});
            fields[field] = value;
            let refused = Scene::new(&[("mount:/srv", fields.clone())]).try_prepare();
            assert!(refused.is_err(), "{fields}");
        }
    }
}

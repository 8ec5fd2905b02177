//! `sysctl`: a setting of the kernel, now and after the next boot.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::content::{Body, Given};
use super::declare::{Declaration, Place};
use super::managed::{ManagedFile, ownership};
use crate::deserialize::{Error, Located, TextOrSecret};
use crate::host::{Fingerprint, Host, HostError, HostResult, Program, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, Subject};

/// `sysctl: vm.swappiness`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Numbers with spaces between them where the kernel wants several.
    value: Located<String>,
}

struct Sysctl {
    key: String,
    value: String,
    /// In /proc/sys.
    running: AbsolutePath,
    /// In /etc/sysctl.d.
    file: ManagedFile,
}

impl Declaration for Fields {
    const NAME: &'static str = "sysctl";
    const HEALS: bool = true;
    const DOC: &'static str = "A setting of the kernel: in /etc/sysctl.d, and as it runs.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let key = place.id.name().to_owned();
        let wrong = |why: String| Error::new(place.fields.span, why);
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/');
        if !key.bytes().all(good) || key.starts_with(['.', '/', '-']) {
            return Err(wrong(format!(
                "`{key}` is not the name of a kernel setting"
            )));
        }
        let Located { span, value } = self.value;
        if value.trim().is_empty() || value.contains(['\n', '\r', '\0']) {
            return Err(Error::new(span, "a kernel setting is one line"));
        }
        let path = |path: String| AbsolutePath::try_from(path).map_err(|e| wrong(e.to_string()));
        let content = format!("{key} = {}\n", value.trim());
        let given = Given {
            template: None,
            source: None,
            content: Some(TextOrSecret::Text(content)),
        };
        Ok(Box::new(Sysctl {
            running: path(format!("/proc/sys/{}", as_path(&key)))?,
            file: ManagedFile {
                path: path(format!(
                    "/etc/sysctl.d/60-brine-{}.conf",
                    key.replace('/', "-")
                ))?,
                body: Body::build(given, "`value`", false, place)?,
                ownership: ownership(None, 0o644, None, None),
                validate: None,
                keep: false,
            },
            value: value.trim().to_owned(),
            key,
        }))
    }
}

/// As sysctl(8): the first separator tells whether the other one is part of a name
/// (`net.ipv4.conf.eth0/100.forwarding`).
fn as_path(key: &str) -> String {
    let slashes = key
        .find(['.', '/'])
        .is_some_and(|at| key[at..].starts_with('/'));
    if slashes {
        return key.to_owned();
    }
    key.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

/// The kernel puts tabs where people put spaces.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

impl Sysctl {
    fn set(&self, text: String) -> Change {
        Change::new("set", text)
    }
}

impl Resource for Sysctl {
    fn subjects(&self) -> Vec<Subject> {
        vec![
            Subject::Path(self.file.path.clone()),
            Subject::Path(self.running.clone()),
        ]
    }

    fn needs(&self) -> Vec<Subject> {
        vec![Subject::Package("procps".to_owned())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let mut changes = self.file.plan(host)?;
        let Some(found) = host.read(&self.running)? else {
            return Err(HostError::failed(
                format!("set {}", self.key),
                "this kernel has no such setting: is a module missing that brings it?",
            ));
        };
        let found = String::from_utf8_lossy(&found);
        if words(&found) != words(&self.value) {
            let found = words(&found).join(" ");
            let text = format!(
                "{} {found} → {} in the running kernel",
                self.key, self.value
            );
            changes.push(self.set(text));
        }
        Ok(changes)
    }

    fn intent(&self) -> Vec<Change> {
        let mut changes = self.file.intent();
        changes.push(self.set(format!("{} = {}", self.key, self.value)));
        changes
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        self.file.apply(changes, host)?;
        if !changes.iter().any(|change| change.verb == "set") {
            return Ok(());
        }
        let argv = [
            "sysctl",
            "-q",
            "-w",
            &format!("{}={}", self.key, self.value),
        ];
        let output = host.execute(&Program {
            argv: argv.map(str::to_owned).into(),
            environment: BTreeMap::new(),
            directory: None,
            user: None,
            timeout: Duration::from_secs(10),
        })?;
        if output.code == 0 {
            return Ok(());
        }
        Err(HostError::Program {
            operation: format!("set {} in the running kernel", self.key),
            status: format!("exit code {}", output.code),
            output: output.stderr,
        })
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        self.file.fingerprint(host)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{check_fails, check_plan};
    use super::as_path;
    use crate::converge::fake::{FakeHost, Scene, check_converges, exit, fake_path};

    fn host(path: &'static str, value: &str) -> FakeHost {
        let mut host = FakeHost::new();
        host.put(path, value);
        host.program("sysctl", move |program, files| {
            let (_, value) = program.argv[3].split_once('=').expect("key=value");
            let file = files.get_mut(&fake_path(path)).expect("put there");
            file.content = value.replace(' ', "\t").into_bytes();
            exit(0)
        });
        host
    }

    #[test]
    fn file_and_kernel() {
        let mut host = host("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
        let id = "sysctl:net.ipv4.tcp_rmem";
        let fields = json!({"value": "4096 131072 16777216"});
        let path = "/etc/sysctl.d/60-brine-net.ipv4.tcp_rmem.conf";
        let create = format!("create {path}");
        let set =
            "net.ipv4.tcp_rmem 4096 131072 6291456 → 4096 131072 16777216 in the running kernel";
        check_plan(&host, id, fields.clone(), &[&create, set]);
        check_converges(&Scene::new(&[(id, fields)]), &mut host);
        let expected = "net.ipv4.tcp_rmem = 4096 131072 16777216\n";
        assert_eq!(host.text(path).as_deref(), Some(expected));
        assert_eq!(host.observed.get(), 0, "a no-op forks nothing");
    }

    #[test]
    fn numbers_are_taken_as_written() {
        let mut host = host("/proc/sys/vm/swappiness", "10\n");
        let scene = Scene::new(&[("sysctl:vm.swappiness", json!({"value": 10}))]);
        check_converges(&scene, &mut host);
        assert_eq!(host.log.len(), 1, "{:?}", host.log);
    }

    #[test]
    fn refusals() {
        let mut host = host("/proc/sys/vm/swappiness", "10\n");
        let why = "cannot set vm.nothing: this kernel has no such setting: is a module missing \
                   that brings it?";
        check_plan(&host, "sysctl:vm.nothing", json!({"value": 1}), &[why]);
        host.program("sysctl", |_, _| crate::host::ProgramOutput {
            stderr: "read-only".to_owned(),
            ..exit(255)
        });
        let scene = Scene::new(&[("sysctl:vm.swappiness", json!({"value": 1}))]);
        let report = scene.apply(&mut host);
        let text = format!("{:?}", report.stopped_at());
        assert!(text.contains("exit code 255\\nread-only"), "{text}");
        for bad in ["sysctl:a b", "sysctl:-w", "sysctl:/etc"] {
            let name = bad.trim_start_matches("sysctl:");
            let why = format!("`{name}` is not the name of a kernel setting");
            check_fails(bad, json!({"value": 1}), &why);
        }
        check_fails(
            "sysctl:a",
            json!({"value": "1\n2"}),
            "a kernel setting is one line",
        );
    }

    #[test]
    fn keys_as_paths() {
        for (key, path) in [
            ("vm.swappiness", "vm/swappiness"),
            (
                "net.ipv4.conf.eth0/100.forwarding",
                "net/ipv4/conf/eth0.100/forwarding",
            ),
            (
                "net/ipv4/conf/eth0.100/forwarding",
                "net/ipv4/conf/eth0.100/forwarding",
            ),
        ] {
            assert_eq!(as_path(key), path);
        }
    }
}

//! Files on a real file system, under a temporary root.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;

use brine_model::host::{FileKind, HostError};

use super::*;

struct Fixture {
    _directory: tempfile::TempDir,
    root: PathBuf,
    host: RealHost,
}

/// A machine with one user, `me`: whoever runs this.
fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    std::fs::write(
        root.join("etc/passwd"),
        format!("me:x:{uid}:{gid}::/:/bin/sh\n"),
    )
    .unwrap();
    std::fs::write(root.join("etc/group"), format!("me:x:{gid}:\n")).unwrap();
    let host = RealHost::rooted(&root, &directory.path().join("state"));
    Fixture {
        _directory: directory,
        root,
        host,
    }
}

fn path(text: &str) -> AbsolutePath {
    text.parse().unwrap()
}

fn mine(mode: u32) -> Ownership {
    Ownership {
        mode,
        owner: "me".to_owned(),
        group: "me".to_owned(),
    }
}

fn text(content: &str) -> Content {
    Content::Bytes(content.as_bytes().to_vec())
}

fn shell(script: &str) -> Program {
    Program {
        argv: ["sh", "-c", script, "sh", "{}"].map(str::to_owned).to_vec(),
        environment: BTreeMap::new(),
        directory: None,
        user: None,
        timeout: Duration::from_secs(10),
    }
}

impl Fixture {
    fn write(&mut self, at: &str, content: &str) -> HostResult<()> {
        self.host
            .write_file(&path(at), &text(content), &mine(0o640), None)
    }

    fn content(&self, at: &str) -> String {
        std::fs::read_to_string(self.root.join(at.trim_start_matches('/'))).unwrap()
    }

    fn names(&self, at: &str) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.root.join(at.trim_start_matches('/'))).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

#[test]
fn a_file_is_written_and_seen_as_it_is() {
    let mut it = fixture();
    assert_eq!(it.host.stat(&path("/etc/motd")), Ok(None));
    assert_eq!(it.host.stat(&path("/no/where")), Ok(None));
    it.write("/etc/motd", "one").unwrap();
    it.write("/etc/motd", "two").unwrap();
    let state = it.host.stat(&path("/etc/motd")).unwrap().unwrap();
    assert_eq!(
        (state.kind, state.mode, state.size),
        (FileKind::File, 0o640, 3)
    );
    assert_eq!((state.owner.as_str(), state.group.as_str()), ("me", "me"));
    assert_eq!(it.host.read(&path("/etc/motd")), Ok(Some(b"two".to_vec())));
    assert_eq!(
        it.host.digest(&path("/etc/motd")),
        Ok(Some(Digest::of(b"two")))
    );
    assert_eq!(
        it.names("/etc"),
        ["group", "motd", "passwd"].map(str::to_owned).into()
    );
    assert!(
        it.write("/no/where", "x")
            .unwrap_err()
            .to_string()
            .contains("no directory /no")
    );
    assert!(
        it.write("/etc", "x")
            .unwrap_err()
            .to_string()
            .contains("is a directory")
    );
}

#[test]
fn a_link_at_the_target_is_replaced_and_not_followed() {
    let mut it = fixture();
    it.write("/etc/victim", "safe").unwrap();
    symlink("victim", it.root.join("etc/planted")).unwrap();
    assert!(it.host.read(&path("/etc/planted")).is_err());
    assert!(
        it.host
            .set_ownership(&path("/etc/planted"), &mine(0o777))
            .is_err()
    );
    it.write("/etc/planted", "new").unwrap();
    assert_eq!(
        (
            it.content("/etc/victim").as_str(),
            it.content("/etc/planted").as_str()
        ),
        ("safe", "new")
    );
}

#[test]
fn links_on_the_way_are_followed_only_if_trusted() {
    let mut it = fixture();
    std::fs::create_dir(it.root.join("real")).unwrap();
    symlink("/real", it.root.join("absolute")).unwrap();
    symlink("../real", it.root.join("etc/relative")).unwrap();
    it.write("/absolute/a", "a").unwrap();
    it.write("/etc/relative/b", "b").unwrap();
    assert_eq!(it.names("/real"), ["a", "b"].map(str::to_owned).into());
    symlink("/loop", it.root.join("loop")).unwrap();
    assert!(
        it.write("/loop/a", "")
            .unwrap_err()
            .to_string()
            .contains("too many")
    );
    if nix::unistd::geteuid().is_root() {
        let link = it.root.join("planted");
        symlink("/real", &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(1000), Some(1000)).unwrap();
        let error = it.write("/planted/c", "c").unwrap_err().to_string();
        assert!(error.contains("not followed"), "{error}");
        assert!(it.host.stat(&path("/planted/c")).is_err());
    }
}

#[test]
fn what_does_not_pass_the_check_leaves_everything_as_it_was() {
    let mut it = fixture();
    it.write("/etc/conf", "old").unwrap();
    let check = shell(
        "test \"$(stat -c %a \"$1\")\" = 640 && ! grep bad \"$1\" || { echo \"$1: line 1\" >&2; exit 1; }",
    );
    let write = |it: &mut Fixture, content: &str| {
        it.host.write_file(
            &path("/etc/conf"),
            &text(content),
            &mine(0o640),
            Some(&check),
        )
    };
    let Err(HostError::Program {
        operation,
        status,
        output,
    }) = write(&mut it, "bad")
    else {
        panic!("accepted");
    };
    assert_eq!(operation, "check the new /etc/conf with sh");
    // The path that people know, not the temporary one.
    assert_eq!(
        (status.as_str(), output.as_str()),
        ("exit code 1", "/etc/conf: line 1")
    );
    assert_eq!(it.content("/etc/conf"), "old");
    assert_eq!(it.names("/etc").len(), 3);
    write(&mut it, "good").unwrap();
    assert_eq!(it.content("/etc/conf"), "good");
}

#[test]
fn leftovers_of_a_crash_are_removed_by_the_next_write() {
    let mut it = fixture();
    let own = format!(".brine-{}01234567~", temporary::machine());
    // Of another machine, on a volume that both have.
    let other = ".brine-0123456789abcdef~";
    for name in [own.as_str(), other, ".brine-short~", ".other~"] {
        std::fs::write(it.root.join("etc").join(name), "half").unwrap();
    }
    it.write("/etc/motd", "x").unwrap();
    let names = [other, ".brine-short~", ".other~", "group", "motd", "passwd"];
    assert_eq!(it.names("/etc"), names.map(str::to_owned).into());
}

#[test]
fn directories_and_symbolic_links() {
    let mut it = fixture();
    it.host.make_directory(&path("/srv"), &mine(0o750)).unwrap();
    it.host.make_directory(&path("/srv"), &mine(0o700)).unwrap();
    assert_eq!(it.host.stat(&path("/srv")).unwrap().unwrap().mode, 0o700);
    it.write("/srv/file", "x").unwrap();
    assert!(
        it.host
            .make_directory(&path("/srv/file"), &mine(0o700))
            .is_err()
    );
    it.host
        .make_symlink(&path("/srv/file"), "elsewhere")
        .unwrap();
    it.host
        .make_symlink(&path("/srv/file"), "/else/where")
        .unwrap();
    let state = it.host.stat(&path("/srv/file")).unwrap().unwrap();
    assert_eq!(
        state.kind,
        FileKind::Symlink {
            target: "/else/where".to_owned()
        }
    );
    assert!(it.host.make_symlink(&path("/srv"), "x").is_err());
    assert_eq!(it.names("/srv").len(), 1);
}

#[test]
fn removing() {
    let mut it = fixture();
    it.host.remove(&path("/not/here"), true).unwrap();
    it.host
        .make_directory(&path("/data"), &mine(0o755))
        .unwrap();
    it.host
        .make_directory(&path("/data/sub"), &mine(0o755))
        .unwrap();
    it.write("/etc/victim", "safe").unwrap();
    symlink("/etc", it.root.join("data/sub/link")).unwrap();
    assert!(it.host.remove(&path("/data"), false).is_err(), "not empty");
    it.host.remove(&path("/data"), true).unwrap();
    assert_eq!(it.host.stat(&path("/data")), Ok(None));
    assert_eq!(it.content("/etc/victim"), "safe");
    it.host.remove(&path("/etc/victim"), false).unwrap();
    for vital in ["/", "/etc", "/usr", "/var/lib"] {
        assert!(it.host.remove(&path(vital), true).is_err(), "{vital}");
    }
}

#[test]
fn owners_and_modes_without_a_second_name() {
    let mut it = fixture();
    it.write("/etc/shadow", "secret").unwrap();
    it.host
        .set_ownership(&path("/etc/shadow"), &mine(0o4755))
        .unwrap();
    assert_eq!(
        it.host.stat(&path("/etc/shadow")).unwrap().unwrap().mode,
        0o4755
    );
    assert!(
        it.host
            .set_ownership(&path("/etc/none"), &mine(0o644))
            .is_err()
    );
    let unknown = Ownership {
        owner: "nobody-here".to_owned(),
        ..mine(0o644)
    };
    assert!(
        it.host
            .set_ownership(&path("/etc/shadow"), &unknown)
            .is_err()
    );
    if nix::unistd::geteuid().is_root() {
        let home = it.root.join("home");
        std::fs::create_dir(&home).unwrap();
        chown(&home, Some(1000), Some(1000)).unwrap();
        std::fs::hard_link(it.root.join("etc/shadow"), home.join("mine")).unwrap();
        let numbers = Ownership {
            mode: 0o644,
            owner: "1000".into(),
            group: "1000".into(),
        };
        assert!(
            it.host
                .set_ownership(&path("/home/mine"), &numbers)
                .is_err()
        );
        // A file of his own is fine, and a number is as good as a name.
        it.host
            .write_file(&path("/home/own"), &text("x"), &numbers, None)
            .unwrap();
        let metadata = std::fs::metadata(home.join("own")).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (1000, 1000));
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o644);
    }
}

#[test]
fn records_are_kept_by_name() {
    let mut it = fixture();
    let record = RestartRecord {
        invocation: "a".to_owned(),
        state_changed_at: None,
        watched: BTreeMap::new(),
    };
    assert_eq!(it.host.restart_record("../web.service"), Ok(None));
    it.host
        .set_restart_record("../web.service", &record)
        .unwrap();
    it.host.set_mark("key", Digest::of(b"1")).unwrap();
    let again = RealHost::rooted(&it.root, &it.host.state);
    assert_eq!(again.restart_record("../web.service"), Ok(Some(record)));
    assert_eq!(again.mark("key"), Ok(Some(Digest::of(b"1"))));
    assert_eq!(again.mark("other"), Ok(None));
}

/// Under another root there is no systemd, and the machine's own must not be reached instead.
#[test]
fn a_test_never_reaches_the_machines_systemd() {
    let mut it = fixture();
    assert!(it.host.unit("cron").is_err());
    assert!(it.host.unit_verb("cron", UnitVerb::Stop).is_err());
    assert_eq!(it.host.wait_for_transaction(), Ok(()));
}

//! Collectors on a machine of a few files.

use std::collections::BTreeMap;

use super::{Cell, Kind, MOST_ROWS, Machine, Section, TABLES, Table, Unit};

#[derive(Default)]
struct Fake {
    files: BTreeMap<&'static str, &'static str>,
    links: BTreeMap<&'static str, &'static str>,
}

impl Machine for Fake {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let found = self.files.get(path).map(|text| text.as_bytes().to_vec());
        found.ok_or_else(|| format!("there is no {path}"))
    }

    fn list(&self, path: &str) -> Vec<(String, Kind)> {
        let paths = self.files.keys().chain(self.links.keys());
        let below = paths.filter_map(|known| known.strip_prefix(path)?.strip_prefix('/'));
        let names = below.filter_map(|rest| rest.split('/').next());
        let names: std::collections::BTreeSet<&str> = names.collect();
        names
            .into_iter()
            .map(|name| (name.to_owned(), Kind::Other))
            .collect()
    }

    fn link(&self, path: &str) -> Option<String> {
        self.links.get(path).map(|target| (*target).to_owned())
    }

    fn units(&self) -> Result<Vec<Unit>, String> {
        let unit = |name: &str, enabled: Option<&str>| Unit {
            name: name.to_owned(),
            active: "active".to_owned(),
            sub: "running".to_owned(),
            enabled: enabled.map(str::to_owned),
            description: String::new(),
        };
        Ok(vec![
            unit("ssh.service", Some("enabled")),
            unit("x.mount", None),
        ])
    }

    fn certificates(&self, _: &[u8]) -> Vec<super::Certificate> {
        let at = crate::time::Timestamp::from_secs;
        vec![super::Certificate {
            subject: "CN=a".to_owned(),
            issuer: "CN=ca".to_owned(),
            names: vec!["a".to_owned(), "b".to_owned()],
            starts: at(1),
            expires: at(2),
            authority: false,
        }]
    }

    fn applied(&self) -> Result<Option<crate::catalog::Catalog>, String> {
        Ok(None)
    }

    fn live(&self, _: &[crate::catalog::Entry]) -> crate::live::LiveFacts {
        crate::live::LiveFacts::default()
    }

    fn drift(&self) -> Result<crate::drift::Ledger, String> {
        Ok(crate::drift::Ledger::default())
    }

    fn sha256(&self, _: &[u8]) -> [u8; 32] {
        [0; 32]
    }
}

/// The rows of a table as text, one line each.
fn check(table: &str, files: &[(&'static str, &'static str)], expected: &[&str]) {
    let fake = Fake {
        files: files.iter().copied().collect(),
        ..Fake::default()
    };
    let section = Table::find(table).expect("a table").section(&fake);
    assert_eq!(lines(&section.expect("collected")), expected);
}

fn lines(section: &Section) -> Vec<String> {
    assert!(section.checked().is_some(), "{section:?}");
    let cell = |cell: &Cell| match cell {
        Cell::Null => "-".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
    };
    let line = |row: &Vec<Cell>| row.iter().map(cell).collect::<Vec<_>>().join(" ");
    section.rows.iter().map(line).collect()
}

#[test]
fn every_table_has_a_key_and_a_name_of_its_own() {
    let tables: std::collections::BTreeSet<&str> = TABLES.iter().map(|table| table.name).collect();
    assert_eq!(tables.len(), TABLES.len());
    for table in TABLES {
        assert!(
            table.key >= 1 && table.key <= table.columns.len(),
            "{}",
            table.name
        );
        let names = table.columns.iter().map(|column| column.name);
        let once: std::collections::BTreeSet<&str> = names.collect();
        assert_eq!(once.len(), table.columns.len(), "{}", table.name);
        // It stands before the table's own columns.
        assert!(!once.contains("node"), "{}", table.name);
    }
}

#[test]
fn packages() {
    let status = "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.11-1\n\
                  Description: a text\n Version: 9 is not its version\n\n\
                  Package: libssl3\nStatus: hold ok installed\nArchitecture: amd64\nSource: openssl (3.0.11-1)\n\
                  Version: 3.0.11-1+b1\n\n\
                  Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
                  Package: half\nStatus: install ok half-configured\nArchitecture: all\nVersion: 2\n";
    check(
        "packages",
        &[("/var/lib/dpkg/status", status)],
        &[
            "half all 2 half half-configured 0",
            "libssl3 amd64 3.0.11-1+b1 openssl installed 1",
            "openssl amd64 3.0.11-1 openssl installed 0",
        ],
    );
    let machine = Fake::default();
    assert!(
        Table::find("packages")
            .expect("a table")
            .section(&machine)
            .is_err()
    );
}

#[test]
fn services() {
    check("services", &[], &["ssh.service active running enabled "]);
}

#[test]
fn sockets_with_their_programs() {
    let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let tcp: &'static str = Box::leak(
        format!(
            "{head}   0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 33 0 77 1\n   \
             1: 0100007F:1F90 0100007F:8888 01 0:0 00:0 0 33 0 78 1\n   \
             2: 00000000:0016 00000000:0000 0A 0:0 00:0 0 0 0 79 1\n"
        )
        .into_boxed_str(),
    );
    let udp6: &'static str = Box::leak(
        format!("{head} 1: 00000000000000000000000001000000:0044 0:0 07 0:0 00:0 0 0 0 80 2\n")
            .into_boxed_str(),
    );
    let fake = Fake {
        files: [
            ("/proc/net/tcp", tcp),
            ("/proc/net/udp6", udp6),
            ("/proc/12/comm", "webapp\n"),
            ("/proc/13/comm", "helper\n"),
            ("/proc/version", "x"),
        ]
        .into(),
        links: [
            ("/proc/12/fd/3", "socket:[77]"),
            ("/proc/12/fd/4", "/dev/null"),
            ("/proc/13/fd/3", "socket:[77]"),
            ("/proc/12/fd/5", "socket:[80]"),
        ]
        .into(),
    };
    let section = Table::find("listening").expect("a table").section(&fake);
    assert_eq!(
        lines(&section.expect("collected")),
        [
            "tcp 0.0.0.0 22 - 0",
            "tcp 127.0.0.1 8080 helper 33",
            "tcp 127.0.0.1 8080 webapp 33",
            "udp ::1 68 webapp 0",
        ]
    );
}

#[test]
fn accounts() {
    let passwd = "root:x:0:0:root:/root:/bin/bash\nweb:x:998:998::/nonexistent:/usr/sbin/nologin\n# x\n+::::::\n";
    let shadow = "root:$y$j9T$x:19000:0:99999:7:::\nweb:!:19000::::::\n";
    let files = [("/etc/passwd", passwd), ("/etc/shadow", shadow)];
    check(
        "users",
        &files,
        &[
            "root 0 0 /root /bin/bash root set",
            "web 998 998 /nonexistent /usr/sbin/nologin  locked",
        ],
    );
    check(
        "users",
        &files[..1],
        &[
            "root 0 0 /root /bin/bash root -",
            "web 998 998 /nonexistent /usr/sbin/nologin  -",
        ],
    );
    check(
        "groups",
        &[("/etc/group", "adm:x:4:a,b\nempty:x:5:\n")],
        &["adm a 4", "adm b 4", "empty - 5"],
    );
}

#[test]
fn keys_of_logins() {
    let keys = "# mine\nssh-ed25519 AAAAC3Nz me@there  \n\
                command=\"echo \\\" x\",no-pty ssh-rsa AAAAB3Nz= other\nssh-dss not/base64!\nnonsense\n";
    check(
        "authorized_keys",
        &[
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("/root/.ssh/authorized_keys", keys),
        ],
        // Both have the fake's fingerprint: the first stands.
        &["root SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ssh-ed25519 me@there "],
    );
    let second = "command=\"echo \\\" x\",no-pty ssh-rsa AAAAB3Nz other\n";
    check(
        "authorized_keys",
        &[
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("/root/.ssh/authorized_keys", second),
        ],
        &[
            "root SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ssh-rsa other \
             command=\"echo \\\" x\",no-pty",
        ],
    );
}

#[test]
fn mounts_and_modules() {
    let mountinfo = "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
                     22 21 0:5 / /a\\040b rw,nosuid shared:1 - tmpfs tmpfs ro,size=1k\n\
                     23 21 0:6 / /x rw - xfs /dev/vdb rw\n\
                     24 23 0:7 / /x ro - tmpfs over rw\n";
    check(
        "mounts",
        &[("/proc/self/mountinfo", mountinfo)],
        &[
            "/ /dev/sda1 ext4 rw,relatime",
            "/a b tmpfs tmpfs rw,nosuid,ro,size=1k",
            "/x over tmpfs ro,rw",
        ],
    );
    let modules = "fuse 176128 3 - Live 0x0\nxfs 1 0\n";
    check(
        "modules",
        &[("/proc/modules", modules)],
        &["fuse 176128", "xfs 1"],
    );
    check("modules", &[], &[]);
}

#[test]
fn what_a_server_takes() {
    let row = |name: &str| vec![Cell::from(name), Cell::Integer(1)];
    let section = |rows: Vec<Vec<Cell>>| Section {
        table: "modules".to_owned(),
        rows,
    };
    assert!(section(vec![row("a"), row("b")]).checked().is_some());
    for bad in [
        section(vec![row("a"), row("a")]),
        section(vec![row("b"), row("a")]),
        section(vec![vec![Cell::from("a")]]),
        section(vec![row(&"x".repeat(5000))]),
        section((0..=MOST_ROWS).map(|n| row(&format!("{n:09}"))).collect()),
        Section {
            table: "sqlite_master".to_owned(),
            rows: Vec::new(),
        },
    ] {
        assert!(bad.checked().is_none(), "{}", bad.table);
    }
    // Any difference is another digest.
    let one = section(vec![row("a"), row("b")]);
    let other = section(vec![row("ab"), row("")]);
    assert_ne!(one.digest(), other.digest());
    assert_eq!(one.digest(), one.clone().digest());
}

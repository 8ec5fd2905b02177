//! Certificates on disk, with when they expire.

use super::{Kind, Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "certificates",
    doc: "An X.509 certificate in a file below /etc; the system's list of trusted ones is left out.",
    columns: &[
        column("path", "the file"),
        column("number", "which in it, from 1"),
        column("subject", "whose"),
        column("names", "what it is for, with spaces between"),
        column("issuer", "who has signed it"),
        column("starts", "when it begins to be good"),
        column("expires", "when it ends"),
        column("authority", "1: it may sign others"),
    ],
    key: 2,
    asked: &["expires"],
    times: &["starts", "expires"],
    fleeting: &[],
    collect,
};

/// What is below these is not looked at: trusted authorities of the distribution, and keys.
const SKIPPED: &[&str] = &["/etc/ssl/certs", "/etc/ca-certificates", "/etc/ssl/private"];

/// Directories below /etc.
const DEPTH: usize = 5;

/// Files that are opened, and bytes of one that may hold certificates.
const MOST_FILES: usize = 500;
const LARGEST: usize = 256 << 10;

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let mut paths = Vec::new();
    walk("/etc", DEPTH, machine, &mut paths);
    let mut rows = Vec::new();
    for path in paths {
        let Ok(bytes) = machine.read(&path) else {
            continue;
        };
        if bytes.len() > LARGEST {
            continue;
        }
        for (number, certificate) in (1_i64..).zip(machine.certificates(&bytes)) {
            rows.push(vec![
                path.clone().into(),
                number.into(),
                certificate.subject.into(),
                certificate.names.join(" ").into(),
                certificate.issuer.into(),
                certificate.starts.into(),
                certificate.expires.into(),
                i64::from(certificate.authority).into(),
            ]);
        }
    }
    Ok(rows)
}

/// Never through symbolic links: those are neither files nor directories.
fn walk(directory: &str, depth: usize, machine: &dyn Machine, paths: &mut Vec<String>) {
    for (name, kind) in machine.list(directory) {
        let path = format!("{directory}/{name}");
        match kind {
            Kind::Directory if depth > 0 && !SKIPPED.contains(&path.as_str()) => {
                walk(&path, depth - 1, machine, paths);
            }
            Kind::File if paths.len() < MOST_FILES && may_hold(&name) => paths.push(path),
            _ => {}
        }
    }
}

fn may_hold(name: &str) -> bool {
    let end = name.rsplit_once('.').map(|(_, end)| end);
    matches!(end, Some("pem" | "crt" | "cer" | "cert"))
}

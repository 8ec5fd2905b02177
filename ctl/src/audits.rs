//! The audits that are shipped.

/// A query with a name.
#[derive(Debug)]
pub struct Audit {
    pub name: &'static str,
    /// What it finds.
    pub doc: &'static str,
    /// What it asks for, as `:NAME` in the query.
    pub values: &'static [&'static str],
    pub sql: &'static str,
}

impl Audit {
    /// `openssl-older-than VERSION`
    #[must_use]
    pub fn usage(&self) -> String {
        let values = self.values.iter().map(|name| name.to_uppercase());
        let words: Vec<String> = std::iter::once(self.name.to_owned())
            .chain(values)
            .collect();
        words.join(" ")
    }
}

pub const AUDITS: &[Audit] = &[
    Audit {
        name: "openssl-older-than",
        doc: "nodes with packages built from an older OpenSSL",
        values: &["version"],
        sql: "SELECT node, name, version FROM packages\n\
              WHERE source = 'openssl' AND version < :version COLLATE version\n\
              ORDER BY node, name",
    },
    Audit {
        name: "package-older-than",
        doc: "nodes with an older version of a package",
        values: &["package", "version"],
        sql: "SELECT node, version FROM packages\n\
              WHERE name = :package AND version < :version COLLATE version\n\
              ORDER BY node",
    },
    Audit {
        name: "open-ports",
        doc: "what can be reached from outside the machine",
        values: &[],
        sql: "SELECT protocol, port, process, group_concat(DISTINCT node) AS nodes FROM listening\n\
              WHERE address NOT LIKE '127.%' AND address != '::1' AND process IS NOT 'brine-agent'\n\
              GROUP BY protocol, port, process ORDER BY port, protocol, process",
    },
    Audit {
        name: "undeclared-ports",
        doc: "what can be reached from outside, and no formula declares",
        values: &[],
        sql: "SELECT node, protocol, address, port, process FROM listening\n\
              WHERE address NOT LIKE '127.%' AND address != '::1' AND process IS NOT 'brine-agent'\n\
              AND NOT EXISTS (SELECT 1 FROM ports WHERE ports.node = listening.node AND ports.port = listening.port)\n\
              ORDER BY node, port, protocol",
    },
    Audit {
        name: "expiring-certificates",
        doc: "certificates that end within so many days, or have ended",
        values: &["days"],
        sql: "SELECT node, path, subject, expires FROM certificates\n\
              WHERE expires < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '+' || :days || ' days')\n\
              ORDER BY expires, node",
    },
    Audit {
        name: "users-with-shell",
        doc: "accounts that may log in, and whether they have a password",
        values: &[],
        sql: "SELECT name, shell, password, group_concat(node) AS nodes FROM users\n\
              WHERE shell NOT LIKE '%/nologin' AND shell NOT LIKE '%/false' AND shell NOT LIKE '%/sync'\n\
              GROUP BY name, shell, password ORDER BY name",
    },
    Audit {
        name: "ssh-keys",
        doc: "keys that may log in, with the accounts and nodes",
        values: &[],
        sql: "SELECT fingerprint, type, comment, user, group_concat(node) AS nodes FROM authorized_keys\n\
              GROUP BY fingerprint, user ORDER BY fingerprint, user",
    },
    Audit {
        name: "failed-services",
        doc: "services that systemd counts as failed",
        values: &[],
        sql: "SELECT node, name, description FROM services WHERE active = 'failed' ORDER BY node, name",
    },
    Audit {
        name: "broken-packages",
        doc: "packages that dpkg was interrupted at, or that are kept at a version",
        values: &[],
        sql: "SELECT node, name, version, status, hold FROM packages\n\
              WHERE status != 'installed' OR hold = 1 ORDER BY node, name",
    },
    Audit {
        name: "behind",
        doc: "nodes that have not the newest catalog of their roles",
        values: &[],
        sql: "SELECT node, roles, catalog, applied_at, last_seen FROM nodes\n\
              WHERE catalog != 'up to date' ORDER BY node",
    },
    Audit {
        name: "silent",
        doc: "nodes that have not told how they are for an hour",
        values: &[],
        sql: "SELECT node, roles, reported_at FROM nodes\n\
              WHERE reported_at IS NULL OR reported_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 hour')\n\
              ORDER BY reported_at",
    },
];

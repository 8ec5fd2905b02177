//! Settings that a running PostgreSQL does not have yet.
//!
//! Patroni tells of a pending restart itself, but only some seconds after a setting was changed.
//! What it starts PostgreSQL with stands in `postmaster.opts`, so that nobody has to wait and see.

use serde_json::Value as Json;

/// Settings that a standby must have at least as large as its leader, and the least that Patroni
/// takes: less is as if it were not given. They are those that order matters for.
const WATCHED: &[(&str, i64)] = &[
    ("max_connections", 25),
    ("max_worker_processes", 2),
    ("max_wal_senders", 3),
    ("max_prepared_transactions", 0),
    ("max_locks_per_transaction", 32),
];

/// A setting that becomes another with the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    name: &'static str,
    running: i64,
    wanted: i64,
}

impl Pending {
    pub(super) fn shrinks(&self) -> bool {
        self.wanted < self.running
    }

    pub(super) fn text(&self) -> String {
        format!("{} {} → {}", self.name, self.running, self.wanted)
    }
}

/// `config` is what the cluster has in common, `options` the content of `postmaster.opts`.
pub(super) fn pending(config: &Json, options: &str) -> Vec<Pending> {
    let parameters = &config["postgresql"]["parameters"];
    let compare = |&(name, least): &(&'static str, i64)| {
        let wanted = integer(&parameters[name]).filter(|&wanted| wanted >= least)?;
        let running = option(options, name)?;
        (wanted != running).then_some(Pending {
            name,
            running,
            wanted,
        })
    };
    WATCHED.iter().filter_map(compare).collect()
}

fn integer(value: &Json) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// `"--max_connections=100"`, one argument of several on one line.
fn option(options: &str, name: &str) -> Option<i64> {
    let (_, rest) = options.split_once(&format!("--{name}="))?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OPTIONS: &str = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/data\" \
        \"--max_connections=100\" \"--max_wal_senders=10\" \"--max_worker_processes=8\" \
        \"--max_prepared_transactions=0\" \"--max_locks_per_transaction=64\"\n";

    #[track_caller]
    fn check(parameters: Json, expected: &[(&str, bool)]) {
        let config = json!({"postgresql": {"parameters": parameters}});
        let found = pending(&config, OPTIONS);
        let found: Vec<_> = found.iter().map(|p| (p.text(), p.shrinks())).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(t, s)| ((*t).to_owned(), *s))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn compared_with_what_it_was_started_with() {
        check(
            json!({"max_connections": "100", "max_wal_senders": 10}),
            &[],
        );
        check(json!({"work_mem": "4MB"}), &[]);
        let grows = ("max_connections 100 → 200", false);
        check(json!({"max_connections": 200}), &[grows]);
        let shrinks = ("max_worker_processes 8 → 4", true);
        check(
            json!({"max_connections": "200", "max_worker_processes": 4}),
            &[grows, shrinks],
        );
        // What Patroni does not take is not waited for.
        check(
            json!({"max_connections": 10, "max_wal_senders": "many"}),
            &[],
        );
        assert_eq!(pending(&json!({}), OPTIONS), []);
        assert_eq!(
            pending(
                &json!({"postgresql": {"parameters": {"max_connections": 200}}}),
                ""
            ),
            []
        );
    }
}

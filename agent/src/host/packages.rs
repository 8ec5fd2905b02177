//! What apt would install: the one question about packages that takes a program.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use brine_model::host::HostResult;

use super::accounts::Accounts;
use super::programs;

const LIMIT: Duration = Duration::from_secs(120);

/// Candidates asked for once; forgotten by whoever changes apt's lists.
#[derive(Default)]
pub(super) struct Candidates(Mutex<HashMap<String, Option<String>>>);

impl Candidates {
    pub(super) fn get(&self, name: &str, accounts: &Accounts) -> HostResult<Option<String>> {
        if let Some(known) = self.lock().get(name) {
            return Ok(known.clone());
        }
        let mut found = ask(&[name], accounts)?;
        let candidate = found.remove(name).flatten();
        self.lock().insert(name.to_owned(), candidate.clone());
        Ok(candidate)
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The candidates of all these, by one child.
pub(super) fn ask(
    names: &[&str],
    accounts: &Accounts,
) -> HostResult<HashMap<String, Option<String>>> {
    let mut argv = vec!["apt-cache", "policy", "--"];
    argv.extend(names);
    let mut program = programs::program(&argv, LIMIT);
    program
        .environment
        .insert("LC_ALL".to_owned(), "C".to_owned());
    let output = programs::demand(&program, accounts)?;
    Ok(parse(&output.stdout))
}

/// `haproxy:` at the start of a line, then `  Candidate: 2.6.12-1` or `(none)`.
fn parse(text: &str) -> HashMap<String, Option<String>> {
    let mut found = HashMap::new();
    let mut name = None;
    for line in text.lines() {
        if !line.starts_with(' ') {
            name = line.strip_suffix(':').map(str::to_owned);
        } else if let Some(version) = line.strip_prefix("  Candidate: ")
            && let Some(name) = &name
        {
            let version = version.trim();
            found.insert(
                name.clone(),
                (version != "(none)").then(|| version.to_owned()),
            );
        }
    }
    found
}

/// What apt takes for a package's name and never for an option, a task or a pattern.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
            })
            // apt reads `foo-` as "remove foo" and `foo+` as "install foo" where no such
            // package exists.
            && !part.ends_with('-')
    };
    match name.split_once(':') {
        Some((name, architecture)) => plain(name) && plain(architecture),
        None => plain(name),
    }
}

pub(super) fn is_version(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
        && version
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".+-:~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy() {
        let found = parse(
            "haproxy:\n  Installed: (none)\n  Candidate: 2.6.12-1\n  Version table:\n     \
             2.6.12-1 500\nnothing:\n  Installed: 1\n  Candidate: (none)\n",
        );
        assert_eq!(found["haproxy"].as_deref(), Some("2.6.12-1"));
        assert_eq!(found["nothing"], None);
    }

    #[test]
    fn names_and_versions() {
        for good in ["haproxy", "g++", "libc6:i386", "postgresql-15", "0ad"] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "-y",
            "foo-",
            "a b",
            "A",
            "foo=1",
            "foo/stable",
            "a:",
            "*",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_version("1:2.6.12-1+deb12u1~bpo") && !is_version("-1") && !is_version("1 2"));
    }
}

//! The checks that need no server.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use brine_transport::identity::Key;
use brine_wire::policy::Principal;

use super::Check;
use crate::clock;
use crate::config::Config;
use crate::host::{self, RealHost};
use crate::link::enroll::describe;
use crate::link::token;
use crate::metrics::FILE;
use crate::metrics::flags::Flags;
use crate::state::binding::{self, MachineId};
use crate::state::{atomic, identity};

/// Older lists make installations fail on versions that the mirror has dropped.
const OLD_LISTS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn state_directory(config: &Config) -> Check {
    let name = "state directory";
    let path = config.state.display();
    match std::fs::metadata(&config.state) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Check::bad(
            name,
            format!("{path} is not there"),
            "start the agent: `systemctl start brine-agent`",
        ),
        Err(error) => Check::bad(name, format!("{path}: {error}"), "run this as root"),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => Check::bad(
            name,
            format!("{path} is open to others"),
            format!("chmod 700 {path}"),
        ),
        Ok(metadata) if metadata.uid() != nix::unistd::geteuid().as_raw() => Check::bad(
            name,
            format!("{path} belongs to user {}", metadata.uid()),
            "run this as the user that the agent runs as: root",
        ),
        Ok(_) => Check::good(name, format!("{path}, private")),
    }
}

/// Whether the endpoint's file makes sense. That there is none is none of our business.
pub(super) fn metrics(config: &Config) -> Check {
    let name = "metrics";
    let path = config.root.join(FILE);
    let told = std::fs::read_to_string(&path);
    match told.map(|text| Flags::parse(&text)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::good(name, format!("not served: there is no {}", path.display()))
        }
        Err(error) => Check::bad(
            name,
            format!("{}: {error}", path.display()),
            "run this as root",
        ),
        Ok(Err(why)) => Check::bad(
            name,
            format!("{}: {why}", path.display()),
            "mend it: the flags are in `brine-agent metrics --help`; the agent reads it again by itself",
        ),
        Ok(Ok(flags)) if flags.listen.is_empty() => Check::good(name, "not served"),
        Ok(Ok(flags)) => Check::good(name, format!("served on {}", flags.listen.join(", "))),
    }
}

pub(super) fn machine(config: &Config) -> Check {
    let name = "machine";
    let id = match MachineId::read(&config.root) {
        Ok(id) => id,
        Err(error) => return Check::bad(name, describe(&error), "systemd-machine-id-setup"),
    };
    match binding::owner(&config.state) {
        Err(error) => Check::bad(name, describe(&error), "run this as root"),
        Ok(None) => Check::good(name, "no state yet"),
        Ok(Some(owner)) if owner == id => Check::good(name, "the state is this machine's"),
        Ok(Some(_)) => Check::bad(
            name,
            "the state is another machine's: this one is a clone, or got a new machine-id",
            "restart the agent: it moves the state aside and enrols as new",
        ),
    }
}

pub(super) fn identity(config: &Config) -> Check {
    let name = "identity";
    let key = match atomic::read(&config.state.join("key.pem")) {
        Err(error) => return Check::bad(name, format!("key.pem: {error}"), "run this as root"),
        Ok(key) => key.map(|bytes| Key::from_pem(&String::from_utf8_lossy(&bytes))),
    };
    let key = match key {
        None => return join_token(config),
        Some(Err(error)) => {
            let found = format!("key.pem is damaged: {error}");
            return Check::bad(
                name,
                found,
                "enrol anew: remove key.pem and place a join token",
            );
        }
        Some(Ok(key)) => key,
    };
    match identity::read_certificate(&config.state) {
        Err(error) => Check::bad(
            name,
            describe(&error),
            "remove certificate.pem, restart the agent",
        ),
        Ok(None) => join_token(config),
        Ok(Some(certificate)) => {
            let peer = certificate.peer;
            if peer.fingerprint.as_deref() != Some(key.public().fingerprint().as_str()) {
                let help = "remove certificate.pem and restart the agent";
                return Check::bad(name, "the certificate is for another key", help);
            }
            let Principal::Node(node) = peer.principal else {
                return Check::bad(name, "the certificate is not a node's", "enrol anew");
            };
            match peer.expires {
                Some(expires) if expires < clock::now() => Check::bad(
                    name,
                    format!("{node}, and its certificate has expired"),
                    "check this machine's clock; the agent renews it when it reaches the server",
                ),
                Some(expires) => {
                    let days = expires.since(clock::now()).as_secs() / 86_400;
                    Check::good(name, format!("{node}, certified for {days} more days"))
                }
                None => Check::good(name, node.to_string()),
            }
        }
    }
}

fn join_token(config: &Config) -> Check {
    let name = "join token";
    match token::find(&config.root) {
        Ok(Some(found)) => Check::good(name, format!("{}, not used yet", found.path.display())),
        Ok(None) => Check::bad(
            name,
            "not enrolled, and no join token is here",
            "make one with `ctl nodes add` and put it into /etc/brine/join",
        ),
        Err(error) => Check::bad(name, error.to_string(), "copy the whole token once more"),
    }
}

pub(super) fn systemd(config: &Config) -> Check {
    match RealHost::rooted(&config.root, &config.state).ask_systemd() {
        Ok(()) => Check::good("systemd", "answers over D-Bus"),
        Err(error) => Check::bad(
            "systemd",
            error.to_string(),
            "services cannot be managed without it",
        ),
    }
}

pub(super) fn locks(config: &Config) -> Check {
    match host::holder(&config.root) {
        Ok(None) => Check::good("package locks", "free"),
        Ok(Some(holder)) => Check::bad(
            "package locks",
            holder.to_string(),
            "nothing, if that is at work: the agent waits for it",
        ),
        Err(error) => Check::bad("package locks", error.to_string(), "run this as root"),
    }
}

pub(super) fn lists(config: &Config) -> Check {
    let name = "package lists";
    let directory = config.root.join("var/lib/apt/lists");
    let newest = std::fs::read_dir(&directory).ok().and_then(|entries| {
        let lists = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().contains("_Packages"));
        lists
            .filter_map(|entry| entry.metadata().ok()?.modified().ok())
            .max()
    });
    match newest.and_then(|newest| newest.elapsed().ok()) {
        None if newest.is_some() => Check::good(name, "present"),
        None => Check::good(name, "none yet: fetched by the first installation"),
        Some(age) if age > OLD_LISTS => Check::bad(
            name,
            format!("{} days old", age.as_secs() / 86_400),
            "apt-get update; an installation that fails on them does it, too",
        ),
        Some(age) => Check::good(name, format!("{} hours old", age.as_secs() / 3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_metrics_that_make_no_sense_are_found() {
        let root = tempfile::tempdir().unwrap();
        let config = Config {
            root: root.path().to_owned(),
            state: root.path().join("state"),
        };
        let check = metrics(&config);
        assert!(check.ok && check.found.contains("not served"), "{check:?}");
        let file = root.path().join(FILE);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "--web.listen-address=10.0.0.5:9100\n").unwrap();
        let check = metrics(&config);
        assert!(
            check.ok && check.found.ends_with("10.0.0.5:9100"),
            "{check:?}"
        );
        std::fs::write(&file, "--collector.cup\n").unwrap();
        let check = metrics(&config);
        assert!(
            !check.ok && check.found.contains("--collector.cup"),
            "{check:?}"
        );
        assert!(check.help.is_some());
    }
}

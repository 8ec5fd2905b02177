//! `certificate`: a certificate of the workload authority, for a key that never leaves the node.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::{Account, Mode, Period};
use super::managed::{accounts, check_accounts, drift, ownership, wrong_kind};
use crate::deserialize::{Error, Located, OneOrMany};
use crate::digest::Digest;
use crate::host::{
    CertificateOrder, CertificateState, FileKind, Fingerprint, Host, HostResult, Ownership,
    ReadHost,
};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, ResourceId, Subject};

/// `certificate: /etc/etcd/tls/peer.pem`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Where its key goes: 0600, or 0640 where root owns it for a group; never beyond `mode`.
    key: AbsolutePath,
    /// Where the authority's own certificate goes.
    ca: AbsolutePath,
    /// DNS names and addresses that it is for. The server reads them from its own catalog.
    names: OneOrMany<Located<String>>,
    /// Default: root.
    owner: Option<Account>,
    /// Default: root.
    group: Option<Account>,
    /// Of the certificate. Default: 0644.
    mode: Option<Mode>,
    /// How long before its end it is renewed. Default: a third of its life; at most half of it.
    renew_before: Option<Period>,
}

struct Certificate {
    id: ResourceId,
    path: AbsolutePath,
    key: AbsolutePath,
    authority: AbsolutePath,
    /// Sorted.
    names: Vec<String>,
    ownership: Ownership,
    renew_before: Option<Duration>,
}

/// A DNS name or an address in the one spelling that certificates have it in.
///
/// # Errors
/// It is neither, in words for people.
pub fn certificate_name(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // An address with a slip in it must not pass for a name.
    let last = text.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit());
    if text.len() <= 253 && !numeric && text.split('.').all(label) {
        Ok(text.to_ascii_lowercase())
    } else {
        let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        Err(format!("`{shown}` is neither a DNS name nor an address"))
    }
}

/// How the key beside a certificate is kept: for its owner alone, or, where that is root, for a
/// group as well. PostgreSQL takes no other.
#[must_use]
pub fn key_ownership(certificate: &Ownership) -> Ownership {
    let most = if certificate.owner == "root" {
        0o640
    } else {
        0o600
    };
    Ownership {
        mode: certificate.mode & most,
        ..certificate.clone()
    }
}

impl Declaration for Fields {
    const NAME: &'static str = "certificate";
    const DOC: &'static str =
        "A certificate of the workload authority, renewed in time; its key never leaves the node.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let path = place.path()?;
        if path == self.key || path == self.ca || self.key == self.ca {
            let message = "certificate, `key` and `ca` are three files";
            return Err(Error::new(place.fields.span, message));
        }
        let mut names = Vec::new();
        for name in self.names.0 {
            let checked = certificate_name(&name.value);
            names.push(checked.map_err(|why| Error::new(name.span, why))?);
        }
        if names.is_empty() {
            return Err(place.error("names", "a certificate is for at least one name"));
        }
        names.sort_unstable();
        names.dedup();
        let (owner, group) = (self.owner.as_ref(), self.group.as_ref());
        Ok(Box::new(Certificate {
            id: place.id.clone(),
            path,
            key: self.key,
            authority: self.ca,
            names,
            ownership: ownership(self.mode.as_ref(), 0o644, owner, group),
            renew_before: self.renew_before.map(|period| period.0),
        }))
    }
}

impl Certificate {
    fn files(&self) -> [(&AbsolutePath, Ownership); 3] {
        [
            (&self.path, self.ownership.clone()),
            (&self.key, key_ownership(&self.ownership)),
            (&self.authority, self.ownership.clone()),
        ]
    }

    /// Ordered anew: which verb, and why in words.
    fn due(&self, state: Option<&CertificateState>, host: &dyn ReadHost) -> Option<Change> {
        let wanted = self.names.join(", ");
        let Some(state) = state else {
            return Some(self.order("issue", format!("issue {} for {wanted}", self.path)));
        };
        if !state.consistent {
            let text = format!(
                "issue {} anew: it does not belong to the key and the authority beside it",
                self.path
            );
            return Some(self.order("issue", text));
        }
        if state.names != self.names {
            let text = format!(
                "issue {} for {} → {wanted}",
                self.path,
                state.names.join(", ")
            );
            return Some(self.order("names", text));
        }
        let life = state.expires.since(state.starts);
        let before = self.renew_before.unwrap_or(life / 3).min(life / 2);
        let left = state.expires.since(host.now());
        (left <= before).then(|| {
            let text = match left.as_secs() / 3600 {
                0 if left.is_zero() => format!("renew {}, which has expired", self.path),
                hours if hours < 48 => format!("renew {}, good for {hours} h more", self.path),
                hours => format!("renew {}, good for {} days more", self.path, hours / 24),
            };
            self.order("renew", text)
        })
    }

    fn order(&self, verb: &str, text: String) -> Change {
        let file = |(path, ownership): (&AbsolutePath, Ownership)| {
            // What will be in it is not known, but that it is something else.
            let parts = [b"to be issued".as_slice(), path.as_str().as_bytes()];
            file_effect(path, Digest::of_parts(parts), &ownership)
        };
        Change::new(verb, text).with_effects(self.files().into_iter().map(file))
    }

    fn ownership_drift(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let mut changes = Vec::new();
        for (path, ownership) in self.files() {
            let Some(state) = host.stat(path)? else {
                continue;
            };
            if state.kind != FileKind::File {
                return Err(wrong_kind(path, "a file", &state.kind));
            }
            for (verb, text) in drift(path, &state, &ownership, host)? {
                let digest = host.digest(path)?.unwrap_or_else(|| Digest::of(b""));
                changes.push(
                    Change::new(verb, format!("{text} of {path}"))
                        .with_effects([file_effect(path, digest, &ownership)]),
                );
            }
        }
        Ok(changes)
    }
}

fn file_effect(path: &AbsolutePath, digest: Digest, ownership: &Ownership) -> Effect {
    Effect::File {
        path: path.clone(),
        digest,
        mode: ownership.mode,
        owner: ownership.owner.clone(),
        group: ownership.group.clone(),
    }
}

impl Resource for Certificate {
    fn subjects(&self) -> Vec<Subject> {
        self.files()
            .map(|(path, _)| Subject::Path(path.clone()))
            .into()
    }

    fn needs(&self) -> Vec<Subject> {
        let directories = self.files().map(|(path, _)| path.parent());
        directories
            .into_iter()
            .flatten()
            .map(Subject::Path)
            .chain(accounts(&self.ownership))
            .collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let state = host.certificate(&self.path, &self.key, &self.authority)?;
        match self.due(state.as_ref(), host) {
            Some(change) => {
                check_accounts(&self.path, &self.ownership, host)?;
                Ok(vec![change])
            }
            None => self.ownership_drift(host),
        }
    }

    fn intent(&self) -> Vec<Change> {
        let text = format!("issue {} for {}", self.path, self.names.join(", "));
        vec![self.order("issue", text)]
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let ordered = |change: &Change| matches!(change.verb.as_str(), "issue" | "renew" | "names");
        if changes.iter().any(ordered) {
            return host.order_certificate(&CertificateOrder {
                resource: self.id.clone(),
                certificate: self.path.clone(),
                key: self.key.clone(),
                authority: self.authority.clone(),
                ownership: self.ownership.clone(),
            });
        }
        for (path, ownership) in self.files() {
            let state = host.stat(path)?;
            let differs = state.is_some_and(|state| {
                let Ownership { mode, owner, group } = &ownership;
                (state.mode, &state.owner, &state.group) != (*mode, owner, group)
            });
            if differs {
                host.set_ownership(path, &ownership)?;
            }
        }
        Ok(())
    }

    /// The certificate itself: what it is renewed for.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let state = host.stat(&self.path)?;
        let digest = match &state {
            Some(state) if state.kind == FileKind::File => host.digest(&self.path)?,
            _ => None,
        };
        Ok(Fingerprint {
            digest: digest.unwrap_or_else(|| Digest::of(b"")),
            changed_at: state.map(|state| state.changed_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value as Json, json};

    use super::super::tests::{check_fails, check_plan};
    use super::certificate_name;
    use crate::converge::fake::{FakeHost, Scene, check_converges, fake_path};

    const ID: &str = "certificate:/etc/tls/peer.pem";
    const DAY: i64 = 24 * 3600 * 1_000_000_000;

    fn fields() -> Json {
        json!({
            "key": "/etc/tls/peer.key",
            "ca": "/etc/tls/ca.pem",
            "names": ["DB01", "10.0.0.1"],
        })
    }

    fn host() -> FakeHost {
        let mut host = FakeHost::new();
        host.certified = vec!["10.0.0.1".to_owned(), "db01".to_owned()];
        host
    }

    #[track_caller]
    fn check(host: &FakeHost, texts: &[&str]) {
        check_plan(host, ID, fields(), texts);
    }

    #[test]
    fn issued_renewed_and_mended() {
        let (mut host, scene) = (host(), Scene::new(&[(ID, fields())]));
        check(&host, &["issue /etc/tls/peer.pem for 10.0.0.1, db01"]);
        check_converges(&scene, &mut host);
        assert_eq!(host.files[&fake_path("/etc/tls/peer.key")].mode, 0o640);
        assert_eq!(host.files[&fake_path("/etc/tls/peer.pem")].mode, 0o644);
        host.clock += 59 * DAY;
        check(&host, &[]);
        host.clock += 2 * DAY;
        check(&host, &["renew /etc/tls/peer.pem, good for 28 days more"]);
        host.clock += 28 * DAY;
        check(&host, &["renew /etc/tls/peer.pem, good for 23 h more"]);
        host.clock += DAY;
        check(&host, &["renew /etc/tls/peer.pem, which has expired"]);
        check_converges(&scene, &mut host);

        let state = host.certificates.get_mut(&fake_path("/etc/tls/peer.pem"));
        state.unwrap().names.push("old".to_owned());
        let names = "issue /etc/tls/peer.pem for 10.0.0.1, db01, old → 10.0.0.1, db01";
        check(&host, &[names]);
        check_converges(&scene, &mut host);

        host.files
            .get_mut(&fake_path("/etc/tls/peer.key"))
            .unwrap()
            .mode = 0o644;
        check(&host, &["mode 0644 → 0640 of /etc/tls/peer.key"]);
        host.log.clear();
        check_converges(&scene, &mut host);
        assert_eq!(host.log, ["chown /etc/tls/peer.key"]);
    }

    #[test]
    fn a_user_has_its_key_alone() {
        let mut host = host();
        let mut fields = fields();
        (fields["owner"], fields["group"]) = (json!("db"), json!("db"));
        let scene = Scene::new(&[("user:db", json!({})), (ID, fields)]);
        check_converges(&scene, &mut host);
        assert_eq!(host.files[&fake_path("/etc/tls/peer.key")].mode, 0o600);
    }

    #[test]
    fn every_crash_is_mended_and_dependants_restart() {
        let scene = Scene::new(&[
            (ID, fields()),
            ("unit:etcd.service", json!({"content": "x"})),
            ("service:etcd", json!({"restart_on": [ID]})),
        ]);
        let mut before = host();
        before.reads("etcd.service", "/etc/tls/peer.pem", true);
        check_converges(&scene, &mut before);
        before.clock += 80 * DAY;
        for (late, step) in [false, true]
            .into_iter()
            .flat_map(|l| (1..=6).map(move |s| (l, s)))
        {
            let mut host = before.clone();
            host.crash_at(step, late);
            scene.apply(&mut host);
            host.revive();
            let (plan, _) = check_converges(&scene, &mut host);
            assert!(plan.resources.len() == 3 && host.stale().is_empty());
        }
        let plan = scene.plan(&before);
        let restart = &plan.resources[2].outcome.changes()[0].verb;
        assert_eq!(
            restart, "restart",
            "planned before the certificate is there"
        );
    }

    #[test]
    fn a_long_margin_does_not_renew_forever() {
        let mut fields = fields();
        fields["renew_before"] = json!("365d");
        let (mut host, scene) = (host(), Scene::new(&[(ID, fields)]));
        check_converges(&scene, &mut host);
        host.pause_days(46);
        assert!(!scene.plan(&host).in_sync());
    }

    impl FakeHost {
        fn pause_days(&mut self, days: u64) {
            use crate::host::Host;
            self.pause(Duration::from_secs(days * 24 * 3600));
        }
    }

    #[test]
    fn names() {
        for (text, name) in [
            ("DB01", "db01"),
            ("::0001", "::1"),
            ("a.b-c.d1", "a.b-c.d1"),
        ] {
            assert_eq!(certificate_name(text).as_deref(), Ok(name));
        }
        for bad in [
            "",
            "*",
            "a_b",
            "10.0.0",
            "10.0.0.256",
            "a.",
            ".a",
            "-a",
            "a-",
            "a b",
        ] {
            let why = format!("`{bad}` is neither a DNS name nor an address");
            assert_eq!(certificate_name(bad), Err(why));
        }
        let mut fields = fields();
        fields["names"] = json!([]);
        check_fails(ID, fields.clone(), "a certificate is for at least one name");
        fields["names"] = json!("a b");
        check_fails(
            ID,
            fields.clone(),
            "`a b` is neither a DNS name nor an address",
        );
        (fields["names"], fields["ca"]) = (json!("a"), json!("/etc/tls/peer.key"));
        check_fails(ID, fields, "certificate, `key` and `ca` are three files");
    }
}

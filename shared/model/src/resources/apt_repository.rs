//! `apt_repository`: where apt finds packages that Debian does not have.

use serde::Deserialize;

use super::content::{Body, Given};
use super::declare::{Declaration, Place};
use super::managed::{ManagedFile, ownership};
use super::{PathField, PathUse};
use crate::deserialize::{BlobField, Error, Located, TextOrSecret};
use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, Subject};

const KEYS: &str = "/etc/apt/keyrings";
const SOURCES: &str = "/etc/apt/sources.list.d";

/// How an ASCII-armoured key begins.
const ARMOUR: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// `apt_repository: grafana`. apt takes packages from it only if they are signed with this very key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// `https://…`, without the suite.
    uri: Located<String>,
    /// Default: stable. One that ends in a slash is a folder, without components.
    suites: Option<Vec<String>>,
    /// Default: main.
    components: Option<Vec<String>>,
    /// Default: what the machine is.
    architectures: Option<Vec<String>>,
    /// The key that it is signed with: a file of the state tree, ASCII-armoured.
    key: BlobField,
}

struct AptRepository {
    name: String,
    armoured: Digest,
    key: ManagedFile,
    sources: ManagedFile,
}

impl Declaration for Fields {
    const NAME: &'static str = "apt_repository";
    const HEALS: bool = true;
    const DOC: &'static str = "A repository of packages, and the key that it is signed with.";
    const PATH_FIELDS: &'static [PathField] = &[PathField {
        name: "key",
        holds: PathUse::Source,
    }];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let name = place.id.name();
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || !name.bytes().all(good) {
            let message = format!("`{name}` cannot name a repository's files");
            return Err(Error::new(place.fields.span, message).with_help("a-z, 0-9 and -"));
        }
        let key = format!("{KEYS}/{name}.asc");
        let text = self.stanza(&key, place)?;
        let file = |path: String, body: Given| {
            let path = AbsolutePath::try_from(path)
                .map_err(|error| Error::new(place.fields.span, error.to_string()))?;
            Ok(ManagedFile {
                path,
                body: Body::build(body, "`key`", false, place)?,
                ownership: ownership(None, 0o644, None, None),
                validate: None,
                keep: false,
            })
        };
        Ok(Box::new(AptRepository {
            name: name.to_owned(),
            armoured: self.key.0,
            key: file(
                key,
                Given {
                    template: None,
                    source: Some(self.key),
                    content: None,
                },
            )?,
            sources: file(
                format!("{SOURCES}/{name}.sources"),
                Given {
                    template: None,
                    source: None,
                    content: Some(TextOrSecret::Text(text)),
                },
            )?,
        }))
    }
}

impl Fields {
    /// In apt's deb822 format, see `man 5 sources.list`.
    fn stanza(&self, key: &str, place: &Place<'_>) -> Result<String, Error> {
        let Located { span, value: uri } = &self.uri;
        let scheme = ["https://", "http://", "file:/"];
        if !scheme.iter().any(|scheme| uri.starts_with(scheme)) || !is_word(uri) {
            let message = format!("`{uri}` is not the URI of a repository");
            return Err(Error::new(*span, message).with_help("https://apt.example.com"));
        }
        let words = |field: &str, given: &Option<Vec<String>>, default: &str| {
            let words = given.clone().unwrap_or_else(|| vec![default.to_owned()]);
            if words.is_empty() || !words.iter().all(|word| is_word(word)) {
                return Err(place.error(field, "expected a list of words"));
            }
            Ok(words)
        };
        let suites = words("suites", &self.suites, "stable")?;
        let folders = suites.iter().filter(|suite| suite.ends_with('/')).count();
        let mut stanza = format!("Types: deb\nURIs: {uri}\nSuites: {}\n", suites.join(" "));
        if folders == 0 {
            let components = words("components", &self.components, "main")?;
            stanza.push_str(&format!("Components: {}\n", components.join(" ")));
        } else if folders < suites.len() || self.components.is_some() {
            let message = "a folder, which ends in a slash, has no components and stands alone";
            return Err(place.error("suites", message));
        }
        if self.architectures.is_some() {
            let architectures = words("architectures", &self.architectures, "")?;
            stanza.push_str(&format!("Architectures: {}\n", architectures.join(" ")));
        }
        stanza.push_str(&format!("Signed-By: {key}\n"));
        Ok(stanza)
    }
}

/// It cannot begin another field, or another word of this one.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

impl AptRepository {
    fn files(&self) -> [&ManagedFile; 2] {
        // The key first: a source without its key is an error for whoever updates.
        [&self.key, &self.sources]
    }

    /// By its name apt takes the key file for armoured, and says of another that it has no key.
    fn check_key(&self, host: &dyn ReadHost) -> HostResult<()> {
        if host.blob(&self.armoured)?.starts_with(ARMOUR) {
            return Ok(());
        }
        Err(HostError::failed(
            format!("trust the repository {}", self.name),
            "its key is not ASCII-armoured: `gpg --enarmor` makes it so",
        ))
    }
}

impl Resource for AptRepository {
    fn subjects(&self) -> Vec<Subject> {
        let files = self.files().into_iter();
        files.map(|file| Subject::Path(file.path.clone())).collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        self.check_key(host)?;
        let mut changes = Vec::new();
        for file in self.files() {
            changes.extend(file.plan(host)?);
        }
        Ok(changes)
    }

    fn intent(&self) -> Vec<Change> {
        let files = self.files().into_iter();
        files.flat_map(ManagedFile::intent).collect()
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        for file in self.files() {
            let changes = file.plan(host.as_read())?;
            file.apply(&changes, host)?;
        }
        Ok(())
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        self.sources.fingerprint(host)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::converge::fake::{FakeHost, Scene, check_converges};

    const KEY: &str =
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n";

    fn scene(more: serde_json::Value) -> Scene {
        let mut fields = json!({"uri": "https://apt.example.com", "key": {"$blob": KEY}});
        let more = more.as_object().expect("fields").clone();
        fields.as_object_mut().expect("fields").extend(more);
        Scene::new(&[("apt_repository:vendor", fields)])
    }

    #[test]
    fn a_key_and_where_it_counts() {
        let mut host = FakeHost::new();
        check_converges(&scene(json!({"architectures": ["amd64"]})), &mut host);
        assert_eq!(
            host.text("/etc/apt/keyrings/vendor.asc").as_deref(),
            Some(KEY)
        );
        assert_eq!(
            host.text("/etc/apt/sources.list.d/vendor.sources")
                .as_deref(),
            Some(
                "Types: deb\nURIs: https://apt.example.com\nSuites: stable\nComponents: main\n\
                 Architectures: amd64\nSigned-By: /etc/apt/keyrings/vendor.asc\n"
            )
        );
        check_converges(&scene(json!({"suites": ["./"]})), &mut host);
        let text = host
            .text("/etc/apt/sources.list.d/vendor.sources")
            .expect("there");
        assert!(!text.contains("Components"), "{text}");
    }

    #[test]
    fn a_key_that_apt_could_not_read() {
        let binary = scene(json!({"key": {"$blob": "\u{99}\u{1}"}}));
        let report = binary.apply(&mut FakeHost::new());
        let told = format!("{:?}", report.stopped_at());
        assert!(told.contains("not ASCII-armoured"), "{told}");
    }

    #[test]
    fn what_makes_no_sense() {
        for (fields, expected) in [
            (json!({"uri": "apt.example.com"}), "is not the URI"),
            (json!({"uri": "https://a b"}), "is not the URI"),
            (json!({"suites": ["a\nTypes: deb"]}), "a list of words"),
            (json!({"components": []}), "a list of words"),
            (
                json!({"suites": ["./"], "components": ["main"]}),
                "no components",
            ),
        ] {
            let told = match scene(fields.clone()).try_prepare() {
                Ok(_) => "nothing".to_owned(),
                Err(errors) => format!("{errors:?}"),
            };
            assert!(told.contains(expected), "{fields}: {told}");
        }
    }
}

//! Secrets: layered texts in one root-only file, made up where absent.
//!
//! A text leaves this file only towards the nodes whose catalogs name it; everything else sees
//! references, whose version is a digest under a key that only the server has.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use brine_lang::{NodeInput, SecretStore};
use brine_model::digest::Digest;
use brine_model::name::NodeName;
use brine_model::value::{SecretRef, SecretText};
use brine_wire::job::Secret;
use serde::{Deserialize, Deserializer, Serialize};

use crate::files::{self, FileError};
use crate::random;

/// Begins the file. Other comments in it last until the next secret is made up.
pub(crate) const HEADER: &str = "\
# Secrets: `formula: { parameter: text }` under `common`, `roles.ROLE` or `nodes.NODE`; the most
# specific one wins. What formulas need and nobody gave is made up and added here.
";

/// How long made-up secrets are: 190 bits.
const LENGTH: usize = 32;

/// `formula: { parameter: text }`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Layer(#[serde(deserialize_with = "filled")] BTreeMap<String, Texts>);

type Texts = BTreeMap<String, SecretText>;

/// The file, as operators may edit it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layers {
    #[serde(default)]
    common: Layer,
    #[serde(default, deserialize_with = "filled")]
    roles: BTreeMap<String, Layer>,
    #[serde(default, deserialize_with = "filled")]
    nodes: BTreeMap<String, Layer>,
}

/// A map whose last line an operator took out is empty, though YAML calls it null.
fn filled<'de, D, T>(from: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let map: Option<BTreeMap<String, Option<T>>> = Deserialize::deserialize(from)?;
    let entries = map.unwrap_or_default().into_iter();
    Ok(entries
        .map(|(name, value)| (name, value.unwrap_or_default()))
        .collect())
}

impl Layers {
    /// The most specific text: the node's, then that of its last role, then everybody's.
    fn get(&self, formula: &str, parameter: &str, node: &NodeInput) -> Option<&SecretText> {
        let roles = node
            .roles
            .iter()
            .rev()
            .filter_map(|role| self.roles.get(role.as_str()));
        self.nodes
            .get(node.name.as_str())
            .into_iter()
            .chain(roles)
            .chain([&self.common])
            .find_map(|layer| layer.0.get(formula)?.get(parameter))
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretsError {
    #[error(transparent)]
    File(#[from] FileError),
    /// The parser's message would show a line of the file, so only the place is told.
    #[error("{path} is not valid: expected `common`, `roles.ROLE`, `nodes.NODE`, each `formula: {{ parameter: text }}`{place}", path = path.display())]
    Invalid { path: PathBuf, place: String },
    #[error("{path} can be read by others than its owner: `chmod 600` it", path = .0.display())]
    Exposed(PathBuf),
    #[error("cannot write {path} as YAML", path = .0.display())]
    Write(PathBuf),
}

/// The secrets file and the key for versions.
#[derive(Debug)]
pub(crate) struct Secrets {
    path: PathBuf,
    key: [u8; 32],
    /// Held from reading the file until what was made up is written: two compilations must not
    /// make up two texts for one secret.
    turn: Mutex<()>,
}

impl Secrets {
    #[must_use]
    pub(crate) const fn new(path: PathBuf, key: [u8; 32]) -> Self {
        Self {
            path,
            key,
            turn: Mutex::new(()),
        }
    }

    /// Lets `body` look secrets up; what it made up is on disk before anything of it is returned.
    /// Blocks.
    ///
    /// # Errors
    /// The file cannot be read or written, is not valid, or is exposed.
    pub(crate) fn with<T>(&self, body: impl FnOnce(&Session<'_>) -> T) -> Result<T, SecretsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let layers = read(&self.path)?;
        let session = Session {
            layers: RefCell::new(layers),
            changed: Cell::new(false),
            key: &self.key,
        };
        let value = body(&session);
        if session.changed.get() {
            write(&self.path, &session.layers.into_inner())?;
        }
        Ok(value)
    }

    /// The texts behind references that a catalog of earlier holds.
    ///
    /// # Errors
    /// As [`Self::with`]; `Ok(Err)` names one that has changed since.
    pub(crate) fn matching(
        &self,
        references: Vec<SecretRef>,
        node: &NodeInput,
    ) -> Result<Result<Vec<Secret>, String>, SecretsError> {
        self.with(|session| {
            references
                .into_iter()
                .map(|reference| {
                    let same = session.get(&reference.name, node) == Some(reference.clone());
                    let text = session.text(&reference.name, node).filter(|_| same);
                    text.map(|text| Secret {
                        text,
                        reference: reference.clone(),
                    })
                    .ok_or(reference.name)
                })
                .collect()
        })
    }

    /// The text of `formula.parameter` that is nobody's in particular, made up if there is none; none for a name
    /// that is none. Blocks.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub(crate) fn common(&self, name: &str) -> Result<Option<SecretText>, SecretsError> {
        self.with(|session| {
            let (formula, parameter) = name.split_once('.')?;
            let known = session
                .layers
                .borrow()
                .common
                .0
                .get(formula)
                .and_then(|texts| texts.get(parameter).cloned());
            Some(known.unwrap_or_else(|| session.made_up(formula, parameter)))
        })
    }

    /// Forgets what only this node had: another machine of that name must not get it.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub(crate) fn forget(&self, node: &NodeName) -> Result<(), SecretsError> {
        self.with(|session| {
            let removed = session.layers.borrow_mut().nodes.remove(node.as_str());
            session.changed.set(removed.is_some());
        })
    }
}

/// The secrets during one compilation.
pub(crate) struct Session<'a> {
    layers: RefCell<Layers>,
    changed: Cell<bool>,
    key: &'a [u8; 32],
}

impl Session<'_> {
    /// The text behind `formula.parameter` on a node; made up if there is none.
    #[must_use]
    pub(crate) fn text(&self, name: &str, node: &NodeInput) -> Option<SecretText> {
        let (formula, parameter) = name.split_once('.')?;
        if let Some(text) = self.layers.borrow().get(formula, parameter, node) {
            return Some(text.clone());
        }
        Some(self.made_up(formula, parameter))
    }

    /// Shared by all unless an operator says otherwise: a cluster's members must agree.
    fn made_up(&self, formula: &str, parameter: &str) -> SecretText {
        let text = SecretText::new(random::text(LENGTH));
        let mut layers = self.layers.borrow_mut();
        let texts = layers.common.0.entry(formula.to_owned()).or_default();
        texts.insert(parameter.to_owned(), text.clone());
        self.changed.set(true);
        text
    }
}

impl SecretStore for Session<'_> {
    fn get(&self, name: &str, node: &NodeInput) -> Option<SecretRef> {
        let text = self.text(name, node)?;
        let version = Digest::keyed(self.key, text.reveal().as_bytes());
        Some(SecretRef {
            name: name.to_owned(),
            version,
        })
    }
}

fn read(path: &Path) -> Result<Layers, SecretsError> {
    let Some(text) = files::read_text(path)? else {
        return Ok(Layers::default());
    };
    let exposed = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
    if exposed {
        return Err(SecretsError::Exposed(path.to_owned()));
    }
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(Layers::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| SecretsError::Invalid {
        path: path.to_owned(),
        place: error
            .location()
            .map_or_else(String::new, |at| format!(", line {}", at.line())),
    })
}

fn write(path: &Path, layers: &Layers) -> Result<(), SecretsError> {
    let text = HEADER.to_owned()
        + &serde_saphyr::to_string(layers).map_err(|_| SecretsError::Write(path.to_owned()))?;
    Ok(files::replace(path, text.as_bytes(), 0o600)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, roles: &[&str]) -> NodeInput {
        NodeInput {
            name: name.parse().expect("a name"),
            address: None,
            roles: roles
                .iter()
                .map(|role| role.parse().expect("a name"))
                .collect(),
            labels: BTreeMap::new(),
            facts: None,
            generation: 0,
        }
    }

    fn check(secrets: &Secrets, name: &str, node: &NodeInput) -> String {
        let text = secrets
            .with(|session| session.text(name, node))
            .expect("readable");
        text.expect("a text").reveal().to_owned()
    }

    #[test]
    fn the_most_specific_layer_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets.yaml");
        let text = "common:\n  db: { password: everybody }\nroles:\n  db:\n    db: { password: \"0123\" }\nnodes:\n  db02:\n    db: { password: mine }\n";
        files::replace(&path, text.as_bytes(), 0o600).expect("written");
        let secrets = Secrets::new(path.clone(), [7; 32]);
        assert_eq!(
            check(&secrets, "db.password", &node("web01", &["web"])),
            "everybody"
        );
        assert_eq!(
            check(&secrets, "db.password", &node("db01", &["db"])),
            "0123"
        );
        assert_eq!(
            check(&secrets, "db.password", &node("db02", &["db"])),
            "mine"
        );
        secrets
            .forget(&"db02".parse().expect("a name"))
            .expect("written");
        assert_eq!(
            check(&secrets, "db.password", &node("db02", &["db"])),
            "0123"
        );
    }

    #[test]
    fn absent_ones_are_made_up_once_and_kept_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets.yaml");
        let secrets = Secrets::new(path.clone(), [7; 32]);
        let made = check(&secrets, "db.password", &node("db01", &["db"]));
        assert_eq!(made.len(), LENGTH);
        assert_eq!(check(&secrets, "db.password", &node("db02", &["db"])), made);
        assert_ne!(
            check(&secrets, "db.replication", &node("db02", &["db"])),
            made
        );
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        // A version tells when the text changes, and nothing about it.
        let version = |key| {
            let secrets = Secrets::new(path.clone(), key);
            let found = secrets.with(|s| s.get("db.password", &node("db01", &["db"])));
            found.expect("readable").expect("a reference").version
        };
        assert_eq!(version([7; 32]), version([7; 32]));
        assert_ne!(version([7; 32]), version([8; 32]));
    }

    #[test]
    fn a_line_taken_out_by_hand_makes_a_new_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets.yaml");
        let secrets = Secrets::new(path.clone(), [7; 32]);
        let (made, node) = (
            check(&secrets, "db.password", &node("db01", &["db"])),
            node("db01", &["db"]),
        );
        for left in ["common:\n  db:\nroles:\n  db:\nnodes:\n", "common:\n"] {
            files::replace(&path, left.as_bytes(), 0o600).expect("written");
            assert_ne!(check(&secrets, "db.password", &node), made, "{left}");
        }
        files::replace(&path, b"common: { db: { password: } }\n", 0o600).expect("written");
        let found = secrets.with(|session| session.text("db.password", &node));
        assert!(found.is_err(), "an empty password is a mistake");
    }

    #[test]
    fn any_text_survives_the_file_being_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets.yaml");
        let texts = [
            "true",
            "007",
            "a: b # c",
            " x ",
            "two\nlines\n",
            "\"'\\",
            "~",
            "",
            "é\t",
        ];
        let named = |(number, text): (usize, &&str)| (format!("p{number}"), SecretText::new(*text));
        let layer = BTreeMap::from([(
            "f".to_owned(),
            texts.iter().enumerate().map(named).collect(),
        )]);
        write(
            &path,
            &Layers {
                common: Layer(layer),
                ..Layers::default()
            },
        )
        .expect("written");
        let secrets = Secrets::new(path, [7; 32]);
        check(&secrets, "f.another", &node("n", &[]));
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(
                check(&secrets, &format!("f.p{number}"), &node("n", &[])),
                *text
            );
        }
    }

    #[test]
    fn errors_do_not_show_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets.yaml");
        files::replace(&path, b"common:\n  hunter2\n", 0o600).expect("written");
        let error = Secrets::new(path.clone(), [7; 32])
            .with(|_| ())
            .expect_err("not valid");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        files::replace(&path, b"", 0o644).expect("written");
        let error = Secrets::new(path, [7; 32])
            .with(|_| ())
            .expect_err("exposed");
        assert!(matches!(error, SecretsError::Exposed(_)));
    }
}

//! How to reach the server, and who we are: what `brine-server init` leaves behind.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::env;

/// Where `brine-server init` puts them.
pub const SYSTEM: &str = "/etc/brine/ctl.json";

/// Certificates and a key: far smaller than this.
const MAX_SIZE: u64 = 1 << 20;

/// The connection settings, all in one file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `HOST:PORT`, tried in turn.
    pub servers: Vec<String>,
    /// The CA that the server's certificate must stem from, PEM.
    pub ca: String,
    /// Ours, PEM.
    pub certificate: String,
    /// Ours, PEM; the reason why nobody else may read the file.
    pub key: String,
    /// Whose certificate it is.
    pub operator: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("servers", &self.servers)
            .field("operator", &self.operator)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("no connection settings found; looked for {}", listed(.0))]
    Missing(Vec<PathBuf>),
    #[error("cannot read the connection settings {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds a private key, and others may read it (mode {mode:04o})", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} does not hold connection settings", path.display())]
    Malformed {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{} names no server", path.display())]
    NoServer { path: PathBuf },
}

impl SettingsError {
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing(_) => {
                "`brine-server init` writes them on the server's machine; elsewhere copy \
                                 that file, or name it with --config"
                    .to_owned()
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run ctl as its owner (sudo), or keep your own copy in ~/.config/brine/ctl.json"
                    .to_owned()
            }
            Self::Read { .. } => "name another file with --config".to_owned(),
            Self::Exposed { path, .. } => format!("`chmod 600 {}`", path.display()),
            Self::Malformed { .. } => {
                "expected JSON with servers, ca, certificate, key and operator".to_owned()
            }
            Self::NoServer { .. } => "add one to `servers`, or give --server HOST:PORT".to_owned(),
        }
    }
}

/// The file to use, or the ones to look for, the first that exists and may be read.
#[must_use]
pub fn candidates(
    explicit: Option<&Path>,
    variable: impl Fn(&str) -> Option<std::ffi::OsString>,
) -> Vec<PathBuf> {
    if let Some(path) = explicit {
        return vec![path.to_owned()];
    }
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = set(env::XDG_CONFIG_HOME)
        .filter(|path| path.is_absolute())
        .or_else(|| set(env::HOME).map(|home| home.join(".config")));
    let own = home.map(|home| home.join("brine/ctl.json"));
    [Some(PathBuf::from(SYSTEM)), own]
        .into_iter()
        .flatten()
        .collect()
}

/// Reads the first of `candidates` that there is. One that may not be read is passed over as long
/// as a later one is there: an operator without root has a copy of his own.
///
/// # Errors
/// None is there, or the one found is of no use.
pub fn load(candidates: &[PathBuf], server: Option<&str>) -> Result<Settings, SettingsError> {
    let mut denied = None;
    for path in candidates {
        match read(path) {
            Ok(text) => return parse(path, &text, server),
            Err(SettingsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            }
            Err(SettingsError::Read { path, source })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                denied.get_or_insert(SettingsError::Read { path, source });
            }
            Err(error) => return Err(error),
        }
    }
    Err(denied.unwrap_or_else(|| SettingsError::Missing(candidates.to_vec())))
}

fn read(path: &Path) -> Result<String, SettingsError> {
    let failed = |source| SettingsError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SettingsError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.take(MAX_SIZE)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

fn parse(path: &Path, text: &str, server: Option<&str>) -> Result<Settings, SettingsError> {
    let mut settings: Settings =
        serde_json::from_str(text).map_err(|source| SettingsError::Malformed {
            path: path.to_owned(),
            source,
        })?;
    if let Some(server) = server {
        settings.servers = vec![server.to_owned()];
    }
    if settings.servers.is_empty() {
        return Err(SettingsError::NoServer {
            path: path.to_owned(),
        });
    }
    Ok(settings)
}

fn listed(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"servers": ["a:1"], "ca": "C", "certificate": "X", "key": "K", "operator": "admin"}"#;

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode set");
        path
    }

    #[test]
    fn places() {
        let check = |variables: &[(&str, &str)], expected: &[&str]| {
            let variable = |name: &str| {
                variables
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.into())
            };
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(candidates(None, variable), expected);
        };
        check(&[], &[SYSTEM]);
        check(&[("HOME", "/h")], &[SYSTEM, "/h/.config/brine/ctl.json"]);
        check(
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")],
            &[SYSTEM, "/x/brine/ctl.json"],
        );
        check(
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "rel")],
            &[SYSTEM, "/h/.config/brine/ctl.json"],
        );
        assert_eq!(
            candidates(Some(Path::new("/c")), |_| None),
            [PathBuf::from("/c")]
        );
    }

    #[test]
    fn the_first_that_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = file(folder.path(), "good", GOOD, 0o600);
        let missing = folder.path().join("missing");
        let settings = load(&[missing.clone(), good.clone()], None).expect("settings");
        assert_eq!(settings.servers, ["a:1"]);
        assert_eq!(
            load(&[good], Some("b:2")).expect("settings").servers,
            ["b:2"]
        );
        let error = load(std::slice::from_ref(&missing), None).expect_err("nothing there");
        assert_eq!(
            error.to_string(),
            format!(
                "no connection settings found; looked for {}",
                missing.display()
            )
        );
        assert!(
            !format!("{settings:?}").contains('K'),
            "the key is shown nowhere"
        );
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for mode in [0o640, 0o604, 0o620] {
            let path = file(folder.path(), "open", GOOD, mode);
            let error = load(&[path], None).expect_err("exposed");
            assert!(
                matches!(error, SettingsError::Exposed { .. }),
                "{mode:o}: {error}"
            );
        }
    }

    #[test]
    fn what_is_no_settings() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path(), "bad", r#"{"servers": []}"#, 0o600);
        assert!(matches!(
            load(&[path], None),
            Err(SettingsError::Malformed { .. })
        ));
        let none = GOOD.replace(r#"["a:1"]"#, "[]");
        let path = file(folder.path(), "none", &none, 0o600);
        assert!(matches!(
            load(std::slice::from_ref(&path), None),
            Err(SettingsError::NoServer { .. })
        ));
        assert!(load(&[path], Some("b:2")).is_ok());
    }
}

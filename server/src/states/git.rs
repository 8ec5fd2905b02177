//! Which commit a tree is, if it lies in a Git work tree. Only for people to read: what counts is
//! the digest of what was read.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A commit, and whether the tree differs from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revision {
    pub commit: String,
    /// None where nobody can tell: there is no `git`, or it does not trust the directory.
    pub dirty: Option<bool>,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.commit.get(..12).unwrap_or(&self.commit);
        let dirty = if self.dirty == Some(true) {
            ", dirty"
        } else {
            ""
        };
        write!(f, "git {commit}{dirty}")
    }
}

/// The revision of the work tree that `root` lies in.
pub(super) fn revision(root: &Path) -> Option<Revision> {
    let root = root.canonicalize().ok()?;
    let dot_git = root
        .ancestors()
        .map(|folder| folder.join(".git"))
        .find(|path| path.exists())?;
    let commit = head(&git_directory(&dot_git)?)?;
    Some(Revision {
        commit,
        dirty: is_dirty(&root),
    })
}

/// `.git` is a directory, or (in a linked work tree) a file that names one.
fn git_directory(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return Some(dot_git.to_owned());
    }
    let text = fs::read_to_string(dot_git).ok()?;
    Some(
        dot_git
            .parent()?
            .join(text.trim().strip_prefix("gitdir: ")?),
    )
}

fn head(directory: &Path) -> Option<String> {
    let head = fs::read_to_string(directory.join("HEAD")).ok()?;
    let Some(name) = head.trim().strip_prefix("ref: ") else {
        return hash(&head);
    };
    let common = fs::read_to_string(directory.join("commondir")).ok();
    let common = common.map_or(directory.to_owned(), |common| directory.join(common.trim()));
    if let Ok(loose) = fs::read_to_string(common.join(name)) {
        return hash(&loose);
    }
    let packed = fs::read_to_string(common.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (commit, packed_name) = line.split_once(' ')?;
        (packed_name == name).then(|| hash(commit)).flatten()
    })
}

fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let valid = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    valid.then(|| text.to_owned())
}

/// Asks `git`, without anything that the repository's configuration could make it run.
fn is_dirty(root: &Path) -> Option<bool> {
    let output = Command::new("git")
        .args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(["status", "--porcelain", "--no-renames", "--", "."])
        .current_dir(root)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(!output.stdout.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_read_from_loose_and_packed_references() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = folder.path().join(".git");
        fs::create_dir_all(git.join("refs/heads")).expect("made");
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").expect("written");
        let commit = "a".repeat(40);
        fs::write(
            git.join("packed-refs"),
            format!("# pack\n{commit} refs/heads/main\n"),
        )
        .expect("written");
        assert_eq!(head(&git), Some(commit));
        let loose = "b".repeat(40);
        fs::write(git.join("refs/heads/main"), format!("{loose}\n")).expect("written");
        assert_eq!(head(&git), Some(loose));
        fs::write(git.join("HEAD"), "nonsense").expect("written");
        assert_eq!(head(&git), None);
        assert_eq!(revision(Path::new("/nonexistent")), None);
    }
}

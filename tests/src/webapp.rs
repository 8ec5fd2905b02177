//! The Go web application, built with Debian's Go in a throwaway root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::image::{cached, ensure_images};
use crate::packages;
use crate::prerequisites::progress;
use crate::process::succeed;

/// Checks, tests and builds the application in `source`; the binary is cached by its content.
///
/// # Errors
/// Go cannot be had, or the program does not compile: the message has the compiler's words.
pub fn build(source: &Path) -> Result<PathBuf> {
    let texts = sources(source)?;
    let inputs: Vec<&str> = std::iter::once("2")
        .chain(texts.iter().map(String::as_str))
        .collect();
    cached("webapp", &inputs, |target| {
        progress("building the web application with Debian's Go (about a minute, once)");
        let images = ensure_images()?;
        let packages = cached("go-packages", &["2", packages::SUITE], |folder| {
            packages::download(
                &images.base,
                &["golang-go", "golang-github-lib-pq-dev"],
                folder,
            )
        })?;
        // A private mount namespace: the overlay and everything in it vanish with the command.
        let script = r#"
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
mkdir -p /mnt/root/repo /mnt/root/src /mnt/root/proc /mnt/root/dev
mount --bind "$2" /mnt/root/repo
mount --bind "$3" /mnt/root/src
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
chroot /mnt/root apt-get update -q
DEBIAN_FRONTEND=noninteractive chroot /mnt/root apt-get install -qy --no-install-recommends \
  golang-go golang-github-lib-pq-dev
chroot /mnt/root env HOME=/tmp GOPATH=/usr/share/gocode GO111MODULE=off CGO_ENABLED=0 GOFLAGS=-trimpath \
  sh -c "cd /src && go vet . && go test . && go build -ldflags '-s -w' -o /tmp/webapp ."
cp /mnt/root/tmp/webapp "$4"
"#;
        succeed(
            Command::new("unshare")
                .args(["-m", "sh", "-c", script, "build"])
                .args([&images.base, &packages])
                .arg(source)
                .arg(target),
            Duration::from_secs(900),
        )
        .map(drop)
        .context("cannot build the web application")
    })
}

/// The Go files, in the order of their names.
fn sources(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "go"));
    files.sort();
    let read = |path: &PathBuf| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    files.iter().map(read).collect()
}

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

/// Builds the application in `source` (one `main.go`); the binary is cached by its content.
///
/// # Errors
/// Go cannot be had, or the program does not compile: the message has the compiler's words.
pub fn build(source: &Path) -> Result<PathBuf> {
    let main = source.join("main.go");
    let text =
        fs::read_to_string(&main).with_context(|| format!("cannot read {}", main.display()))?;
    cached("webapp", &["1", &text], |target| {
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
  go build -ldflags '-s -w' -o /tmp/webapp /src/main.go
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

//! The images that hosts boot from: a cached Debian base, the package repository, and a layer
//! with the programs baked in. None of them holds a key, a token or a machine-id.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

use crate::packages::{self, FOR_ROLES, FOR_SCENARIOS, SUITE};
use crate::prerequisites::progress;
use crate::process::succeed;

/// Raise it when the way that images are made changes.
const RECIPE: &str = "4";

/// Beyond Debian's minimal base. strace and socat are for scenarios.
const IN_BASE: &str =
    "systemd,systemd-sysv,dbus,iproute2,procps,strace,socat,util-linux-extra,libnss-myhostname";

const LONG: Duration = Duration::from_secs(1800);

/// What every host of a lab is made from.
#[derive(Debug, Clone)]
pub struct Images {
    /// Root file system, read-only below every host's overlay.
    pub base: PathBuf,
    /// Folder with .debs and `Packages`, mounted at /repo.
    pub repository: PathBuf,
}

/// Where images and built programs are kept between labs.
#[must_use]
pub fn cache() -> PathBuf {
    std::env::var_os("BRINE_LAB_CACHE").map_or_else(|| "/var/cache/brine-lab".into(), PathBuf::from)
}

/// Builds what is not in the cache yet.
///
/// # Errors
/// A download or a build failed.
pub fn ensure_images() -> Result<Images> {
    let base = cached("base", &[RECIPE, SUITE, IN_BASE], |target| {
        progress("building the base image (about a minute, once)");
        build_base(target)
    })?;
    let key = base
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let wanted = [&FOR_ROLES[..], &FOR_SCENARIOS].concat();
    let repository = cached("repository", &[RECIPE, &key, &wanted.join(" ")], |target| {
        progress("downloading the roles' packages (once)");
        packages::download(&base, &wanted, target)
    })?;
    Ok(Images { base, repository })
}

/// The cached folder or file for these inputs; built under a lock and renamed into place, so
/// that a killed build leaves nothing that looks whole.
///
/// # Errors
/// `build` failed, or the cache cannot be written.
pub fn cached(
    name: &str,
    inputs: &[&str],
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let folder = cache();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let key = blake3::hash(inputs.join("\0").as_bytes()).to_hex();
    let target = folder.join(format!("{name}-{}", &key[..12]));
    let lock =
        fs::File::create(folder.join(format!("{name}.lock"))).context("cannot lock the cache")?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, e)| e)
        .context("cannot lock the cache")?;
    if target.exists() {
        return Ok(target);
    }
    let partial = folder.join(format!("{name}-{}.partial", &key[..12]));
    let _ = fs::remove_dir_all(&partial);
    let _ = fs::remove_file(&partial);
    build(&partial)?;
    fs::rename(&partial, &target)
        .with_context(|| format!("cannot rename {}", partial.display()))?;
    Ok(target)
}

fn build_base(target: &Path) -> Result<()> {
    let list = target.with_extension("list");
    fs::write(&list, packages::sources()?)
        .with_context(|| format!("cannot write {}", list.display()))?;
    succeed(
        Command::new("mmdebstrap")
            .args(["--mode=root", "--variant=minbase", "--quiet"])
            .arg(format!("--include={IN_BASE}"))
            .args([
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
            ])
            .arg(SUITE)
            .arg(target)
            .arg(&list),
        LONG,
    )
    .context("cannot build the base image")?;
    let _ = fs::remove_file(&list);
    let write = |path: &str, text: &str| {
        fs::write(target.join(path), text)
            .with_context(|| format!("cannot write {path} of the image"))
    };
    // An empty file: systemd makes up an id at first boot and keeps it.
    write("etc/machine-id", "")?;
    let _ = fs::remove_file(target.join("var/lib/dbus/machine-id"));
    // Hosts have the repository and nothing else: no name of the world resolves there.
    let sources = target.join("etc/apt/sources.list.d");
    let _ = fs::remove_dir_all(&sources);
    fs::create_dir_all(&sources).context("cannot create a folder of the image")?;
    write("etc/apt/sources.list", "deb [trusted=yes] file:/repo ./\n")?;
    write("etc/resolv.conf", "")?;
    fs::create_dir_all(target.join("repo")).context("cannot create /repo of the image")?;
    let wants = target.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).context("cannot create a folder of the image")?;
    let networkd = wants.join("systemd-networkd.service");
    if !networkd.exists() {
        symlink("/lib/systemd/system/systemd-networkd.service", &networkd)
            .context("cannot enable networkd")?;
    }
    Ok(())
}

/// A program and its unit, for an image layer.
#[derive(Debug, Clone)]
pub struct Baked<'a> {
    /// Binaries for /usr/bin.
    pub programs: &'a [&'a Path],
    /// The unit file, and whether it starts at boot.
    pub unit: (&'a Path, bool),
}

/// Writes the layer above the base that has the programs in it.
///
/// # Errors
/// A program is missing (it was not built), or the layer cannot be written.
pub fn bake(layer: &Path, baked: &Baked<'_>) -> Result<()> {
    let bin = layer.join("usr/bin");
    let units = layer.join("etc/systemd/system");
    let wants = units.join("multi-user.target.wants");
    for folder in [&bin, &wants] {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    for program in baked.programs {
        let to = bin.join(program.file_name().unwrap_or_default());
        fs::copy(program, &to).with_context(|| format!("cannot copy {}", program.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).context("cannot set a mode")?;
    }
    let (unit, enabled) = baked.unit;
    let name = unit.file_name().unwrap_or_default();
    fs::copy(unit, units.join(name)).with_context(|| format!("cannot copy {}", unit.display()))?;
    if enabled {
        let link = wants.join(name);
        let _ = fs::remove_file(&link);
        symlink(Path::new("/etc/systemd/system").join(name), link)
            .context("cannot enable a unit")?;
    }
    Ok(())
}

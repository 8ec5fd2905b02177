//! Changing files: atomic, durable, never through a symbolic link.

use std::path::Path;

use brine_model::host::{HostError, HostResult, Ownership, Program};
use brine_model::path::AbsolutePath;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown, fsync};

use super::accounts::Accounts;
use super::place::{Place, kind};
use super::programs;
use super::temporary::{Temporary, fill};

/// Stands for the temporary path in the arguments of a validating program.
const PLACEHOLDER: &str = "{}";

pub(super) struct Files<'a> {
    pub(super) root: &'a Path,
    pub(super) accounts: &'a Accounts,
}

impl Files<'_> {
    pub(super) fn write(
        &self,
        path: &AbsolutePath,
        bytes: &[u8],
        ownership: &Ownership,
        validate: Option<&Program>,
    ) -> HostResult<()> {
        let failed = |cause: &str| HostError::failed(format!("write {path}"), cause);
        let (owner, group) = self.owner(ownership)?;
        let place = Place::to_change(self.root, path, "write")?;
        let there = place.stat().map_err(|errno| failed(errno.desc()))?;
        if there.is_some_and(|stat| kind(&stat) == SFlag::S_IFDIR) {
            return Err(failed("it is a directory"));
        }
        let (temporary, mut file) =
            Temporary::file(&place).map_err(|errno| failed(errno.desc()))?;
        fill(&mut file, bytes).map_err(|error| failed(&error.to_string()))?;
        own(&file, owner, group, ownership.mode).map_err(|errno| failed(errno.desc()))?;
        if let Some(program) = validate {
            self.validate(path, &temporary, program)?;
        }
        fsync(&file).map_err(|errno| failed(errno.desc()))?;
        temporary.take_place().map_err(|errno| failed(errno.desc()))
    }

    pub(super) fn set_ownership(
        &self,
        path: &AbsolutePath,
        ownership: &Ownership,
    ) -> HostResult<()> {
        let failed =
            |cause: &str| HostError::failed(format!("set mode and owner of {path}"), cause);
        let (owner, group) = self.owner(ownership)?;
        let place = Place::to_change(self.root, path, "set mode and owner of")?;
        let there = place.stat().map_err(|errno| failed(errno.desc()))?;
        match there.map(|stat| kind(&stat)) {
            None => return Err(failed("nothing is there")),
            Some(SFlag::S_IFREG | SFlag::S_IFDIR) => {}
            Some(SFlag::S_IFLNK) => return Err(failed("it is a symbolic link")),
            Some(_) => return Err(failed("it is neither a file nor a directory")),
        }
        let descriptor = place
            .open(OFlag::O_RDONLY)
            .map_err(|errno| failed(errno.desc()))?;
        let stat = fstat(&descriptor).map_err(|errno| failed(errno.desc()))?;
        // Somebody may have linked a file of the system into his own directory.
        let linked = kind(&stat) == SFlag::S_IFREG && stat.st_nlink > 1;
        if linked && place.is_foreign().map_err(|errno| failed(errno.desc()))? {
            return Err(failed(
                "it has a second name elsewhere, and its directory is a user's",
            ));
        }
        own(&descriptor, owner, group, ownership.mode).map_err(|errno| failed(errno.desc()))
    }

    pub(super) fn make_directory(
        &self,
        path: &AbsolutePath,
        ownership: &Ownership,
    ) -> HostResult<()> {
        let failed = |cause: &str| HostError::failed(format!("make directory {path}"), cause);
        let place = Place::to_change(self.root, path, "make directory")?;
        match mkdirat(place.directory(), place.name(), Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed(errno.desc())),
        }
        fsync(place.directory()).map_err(|errno| failed(errno.desc()))?;
        let (owner, group) = self.owner(ownership)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let descriptor = place.open(flags).map_err(|errno| match errno {
            Errno::ENOTDIR | Errno::ELOOP => failed("something else is there"),
            errno => failed(errno.desc()),
        })?;
        own(&descriptor, owner, group, ownership.mode).map_err(|errno| failed(errno.desc()))
    }

    pub(super) fn make_symlink(&self, path: &AbsolutePath, target: &str) -> HostResult<()> {
        let failed = |cause: &str| HostError::failed(format!("make symbolic link {path}"), cause);
        let place = Place::to_change(self.root, path, "make symbolic link")?;
        let there = place.stat().map_err(|errno| failed(errno.desc()))?;
        if there.is_some_and(|stat| kind(&stat) == SFlag::S_IFDIR) {
            return Err(failed("it is a directory"));
        }
        let temporary = Temporary::symlink(&place, target).map_err(|errno| failed(errno.desc()))?;
        temporary.take_place().map_err(|errno| failed(errno.desc()))
    }

    fn validate(
        &self,
        path: &AbsolutePath,
        temporary: &Temporary<'_>,
        program: &Program,
    ) -> HostResult<()> {
        let operation = format!("check the new {path} with {}", programs::name(program));
        let real = temporary
            .path()
            .map_err(|error| HostError::failed(&operation, error))?;
        let real = real.to_string_lossy();
        let mut program = program.clone();
        for argument in &mut program.argv {
            *argument = argument.replace(PLACEHOLDER, &real);
        }
        let output = programs::run(&program, self.accounts)?;
        if output.code == 0 {
            return Ok(());
        }
        let words = programs::words(&output).replace(&*real, path.as_str());
        let status = format!("exit code {}", output.code);
        Err(HostError::Program {
            operation,
            status,
            output: words,
        })
    }

    fn owner(&self, ownership: &Ownership) -> HostResult<(Uid, Gid)> {
        let owner = self.accounts.uid(&ownership.owner)?;
        let group = self.accounts.gid(&ownership.group)?;
        Ok((Uid::from_raw(owner), Gid::from_raw(group)))
    }
}

/// Owner first: a change of owner takes set-uid and set-gid away again.
fn own(descriptor: impl std::os::fd::AsFd, owner: Uid, group: Gid, mode: u32) -> Result<(), Errno> {
    let descriptor = descriptor.as_fd();
    let stat = fstat(descriptor)?;
    if stat.st_uid != owner.as_raw() || stat.st_gid != group.as_raw() {
        fchown(descriptor, Some(owner), Some(group))?;
    }
    fchmod(descriptor, Mode::from_bits_truncate(mode & 0o7777))
}

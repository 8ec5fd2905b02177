//! What the agent keeps: one directory for root only, every file replaced atomically.
//!
//! ```text
//! machine                    whose state this is: the hash of /etc/machine-id
//! key.pem certificate.pem    who the node is
//! ca.pem servers             whom it trusts, and where to find it
//! applied secrets            the catalog applied last, and the secrets in it
//! begun                      the catalog that it is on its way to, if it is
//! drift                      what differs from the catalog applied last, and what was mended
//! last                       how the last run went here
//! blobs/DIGEST               catalogs and what they name
//! jobs/RUN-STEP              journal: accepted, running, result until acknowledged
//! records/                   what services run on; marks of resources
//! transaction/               a package transaction's request, result and output
//! moved-aside/               the state of the machine that this one was cloned from
//! ```

pub mod applied;
pub(crate) mod atomic;
pub mod binding;
pub mod blobs;
pub mod error;
pub mod identity;
pub mod journal;
pub(crate) mod last;
pub(crate) mod ledger;

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use self::binding::MachineId;
pub use self::error::StateError;

/// Where it is unless `BRINE_AGENT_STATE` says otherwise.
pub const DIRECTORY: &str = "/var/lib/brine-agent";

/// The state directory, opened by the one agent that may write it.
pub struct State {
    directory: PathBuf,
    machine: MachineId,
    _lock: Flock<File>,
}

impl State {
    /// Makes it or takes it over; what belongs to another machine is moved aside.
    ///
    /// # Errors
    /// Another agent uses it, or a file system refused.
    pub fn open(directory: &Path, machine: MachineId) -> Result<Self, StateError> {
        atomic::directory(directory).map_err(StateError::io("make", directory))?;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(directory, private)
            .map_err(StateError::io("set the mode of", directory))?;
        let path = directory.join("lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(StateError::io("open", &path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| StateError::InUse(directory.to_owned()))?;
        binding::bind(directory, &machine)?;
        Ok(Self {
            directory: directory.to_owned(),
            machine,
            _lock: lock,
        })
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    #[must_use]
    pub fn machine(&self) -> &MachineId {
        &self.machine
    }
}

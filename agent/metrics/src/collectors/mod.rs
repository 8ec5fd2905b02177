//! The list of collectors: a new one is a file here and a line in it.

use crate::collector::Definition;

mod arp;
mod bcache;
mod btrfs;
mod buddyinfo;
mod conntrack;
mod dmi;
mod drbd;
mod edac;
mod entropy;
mod fibrechannel;
mod filefd;
mod filesystem;
mod infiniband;
mod ipvs;
mod lnstat;
mod loadavg;
mod meminfo;
mod meminfo_numa;
mod mountstats;
mod netstat;
mod network_route;
mod nfs;
mod nfsd;
mod nvme;
mod os;
mod powersupplyclass;
mod pressure;
mod processes;
mod qdisc;
mod rapl;
mod schedstat;
mod selinux;
mod slabinfo;
mod sockstat;
mod softnet;
mod stat;
mod sysctl;
mod tapestats;
mod time;
mod timex;
mod udp_queues;
mod uname;
mod vmstat;
mod xfs;
mod zfs;
mod zoneinfo;

/// By name.
pub static COLLECTORS: &[Definition] = &[
    arp::DEFINITION,
    bcache::DEFINITION,
    btrfs::DEFINITION,
    buddyinfo::DEFINITION,
    conntrack::DEFINITION,
    dmi::DEFINITION,
    drbd::DEFINITION,
    edac::DEFINITION,
    entropy::DEFINITION,
    fibrechannel::DEFINITION,
    filefd::DEFINITION,
    filesystem::DEFINITION,
    infiniband::DEFINITION,
    ipvs::DEFINITION,
    lnstat::DEFINITION,
    loadavg::DEFINITION,
    meminfo::DEFINITION,
    meminfo_numa::DEFINITION,
    mountstats::DEFINITION,
    netstat::DEFINITION,
    network_route::DEFINITION,
    nfs::DEFINITION,
    nfsd::DEFINITION,
    nvme::DEFINITION,
    os::DEFINITION,
    powersupplyclass::DEFINITION,
    pressure::DEFINITION,
    processes::DEFINITION,
    qdisc::DEFINITION,
    rapl::DEFINITION,
    schedstat::DEFINITION,
    selinux::DEFINITION,
    slabinfo::DEFINITION,
    sockstat::DEFINITION,
    softnet::DEFINITION,
    stat::DEFINITION,
    sysctl::DEFINITION,
    tapestats::DEFINITION,
    time::DEFINITION,
    timex::DEFINITION,
    udp_queues::DEFINITION,
    uname::DEFINITION,
    vmstat::DEFINITION,
    xfs::DEFINITION,
    zfs::DEFINITION,
    zoneinfo::DEFINITION,
];

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use brine_exposition::Exposition;

    use super::*;
    use crate::collector::CollectError;
    use crate::options::Options;
    use crate::roots::Roots;

    /// Files of a machine that never was.
    pub(crate) struct Machine(tempfile::TempDir);

    impl Machine {
        /// Paths begin with `proc/`, `sys/`, `root/` or `udev/`.
        pub(crate) fn new(files: &[(&str, &str)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = directory.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(directory)
        }

        pub(crate) fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        pub(crate) fn roots(&self) -> Roots {
            Roots {
                procfs: self.path("proc"),
                sysfs: self.path("sys"),
                rootfs: self.path("root"),
                udev: self.path("udev"),
            }
        }
    }

    pub(crate) fn collected(
        definition: &'static Definition,
        machine: &Machine,
    ) -> Result<String, CollectError> {
        collected_with(definition, &[], machine)
    }

    pub(crate) fn collected_with(
        definition: &'static Definition,
        given: &[(&str, &str)],
        machine: &Machine,
    ) -> Result<String, CollectError> {
        let mut options = Options::of(definition);
        for (option, value) in given {
            options.set(option, *value);
        }
        let collector = (definition.new)(&options).expect("valid options");
        let mut out = Exposition::new();
        collector.collect(&machine.roots(), &mut out)?;
        Ok(out.text())
    }

    #[test]
    fn names_are_sorted_and_there_once() {
        assert!(COLLECTORS.is_sorted_by(|one, next| one.name < next.name));
    }
}

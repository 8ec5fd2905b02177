//! Whether SELinux is in force, and whether it is meant to be.

use brine_exposition::Exposition;
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::collector::{CollectError, Definition};
use crate::roots::{self, Directory, Roots};

pub(super) const DEFINITION: Definition = Definition {
    name: "selinux",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// The kernel's files of it are mounted here.
const MOUNT: &str = "fs/selinux";
const CONFIGURATION: &str = "/etc/selinux/config";

/// Neither in force nor watching only.
const DISABLED: i64 = -1;

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let kernel = enabled(roots);
    out.gauge(
        "node_selinux_enabled",
        "SELinux is enabled, 1 is true, 0 is false",
    )
    .add(&[], kernel.is_some());
    let Some(kernel) = kernel else {
        return Ok(());
    };
    out.gauge(
        "node_selinux_config_mode",
        "Configured SELinux enforcement mode",
    )
    .add(&[], configured(roots));
    out.gauge(
        "node_selinux_current_mode",
        "Current SELinux enforcement mode",
    )
    .add(&[], kernel.number("enforce").unwrap_or(DISABLED));
    Ok(())
}

/// The kernel's files, where they say that it is enabled.
fn enabled(roots: &Roots) -> Option<Directory> {
    let mount = roots.sysfs.join(MOUNT);
    let kernel = Directory::open(&mount).ok()?;
    // The directory is there when nothing is mounted as well.
    kernel.attribute("enforce")?;
    // Containers get it without being allowed to write, which tells programs in them not to care.
    let read_only = statvfs(&mount).map(|mount| mount.flags().contains(FsFlags::ST_RDONLY));
    // Everything has the kernel's own label as long as no policy is loaded.
    let label = roots.proc("thread-self/attr/current").unwrap_or_default();
    (read_only == Ok(false) && label.trim_end_matches('\0') != "kernel").then_some(kernel)
}

fn configured(roots: &Roots) -> i64 {
    let text = roots::read(&roots.root(CONFIGURATION)).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    let word = lines.find_map(|line| line.strip_prefix("SELINUX="));
    match word.map(|word| word.trim_matches('"')) {
        Some("enforcing") => 1,
        Some("permissive") => 0,
        _ => DISABLED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const ENFORCE: (&str, &str) = ("sys/fs/selinux/enforce", "0");

    #[test]
    fn what_is_and_what_is_meant_to_be() {
        let machine = Machine::new(&[
            ENFORCE,
            (
                "root/etc/selinux/config",
                "# SELINUX=disabled\nSELINUXTYPE=default\nSELINUX=\"enforcing\"\n",
            ),
            ("proc/thread-self/attr/current", "system_u:x:y:s0\0"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_selinux_enabled 1\n"), "{text}");
        assert!(text.contains("\nnode_selinux_config_mode 1\n"), "{text}");
        assert!(text.contains("\nnode_selinux_current_mode 0\n"), "{text}");
        let text = collected(&DEFINITION, &Machine::new(&[ENFORCE])).unwrap();
        assert!(text.contains("\nnode_selinux_config_mode -1\n"), "{text}");
    }

    #[test]
    fn without_it_there_is_one_line() {
        let no_policy = ("proc/thread-self/attr/current", "kernel\0");
        for machine in [
            Machine::new(&[]),
            Machine::new(&[("sys/fs/selinux/other", "")]),
            Machine::new(&[ENFORCE, no_policy]),
        ] {
            let text = collected(&DEFINITION, &machine).unwrap();
            assert!(text.ends_with("\nnode_selinux_enabled 0\n"), "{text}");
        }
    }
}

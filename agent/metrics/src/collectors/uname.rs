//! What the kernel calls itself and its machine.

use std::ffi::OsStr;

use brine_exposition::Exposition;
use nix::errno::Errno;
use nix::sys::utsname;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "uname",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

fn collect(_: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let system = utsname::uname()
        .map_err(|error: Errno| CollectError::malformed("uname", error.to_string()))?;
    let words = [
        ("sysname", system.sysname()),
        ("release", system.release()),
        ("version", system.version()),
        ("machine", system.machine()),
        ("nodename", system.nodename()),
        ("domainname", system.domainname()),
    ]
    .map(|(label, word)| (label, OsStr::to_string_lossy(word)));
    let labels = words.each_ref().map(|(label, word)| (*label, &**word));
    out.gauge(
        "node_uname_info",
        "Labeled system information as provided by the uname system call.",
    )
    .add(&labels, 1_u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn the_kernel_has_a_name() {
        let text = collected(&DEFINITION, &Machine::new(&[])).unwrap();
        let line = text.lines().last().unwrap();
        assert!(line.starts_with("node_uname_info{sysname=\"Linux\",release=\""));
        assert!(line.contains(",domainname=\"") && line.ends_with("} 1"));
    }
}

//! Open files of the whole machine.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "filefd",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "sys/fs/file-nr";

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    let mut columns = text.trim().split('\t');
    let allocated: u64 = number(FILE, columns.next())?;
    // Between them is what was free once, and has been 0 ever since Linux 2.6.
    let maximum: u64 = number(FILE, columns.nth(1))?;
    out.gauge(
        "node_filefd_allocated",
        "File descriptor statistics: allocated.",
    )
    .add(&[], allocated);
    out.gauge(
        "node_filefd_maximum",
        "File descriptor statistics: maximum.",
    )
    .add(&[], maximum);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn first_and_third_column() {
        let machine = Machine::new(&[("proc/sys/fs/file-nr", "700\t0\t9223372036854775807\n")]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_filefd_allocated 700\n"), "{text}");
        assert!(
            text.contains("\nnode_filefd_maximum 9.223372036854776e+18\n"),
            "{text}"
        );
        let machine = Machine::new(&[("proc/sys/fs/file-nr", "700\t0\n")]);
        assert!(collected(&DEFINITION, &machine).is_err());
    }
}

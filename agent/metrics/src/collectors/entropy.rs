//! What the kernel has gathered for its random numbers.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;
use crate::words::proc_number;

pub(super) const DEFINITION: Definition = Definition {
    name: "entropy",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let available = proc_number(roots, "sys/kernel/random/entropy_avail")?;
    out.gauge("node_entropy_available_bits", "Bits of available entropy.")
        .add(&[], available);
    let size = proc_number(roots, "sys/kernel/random/poolsize")?;
    out.gauge("node_entropy_pool_size_bits", "Bits of entropy pool.")
        .add(&[], size);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn bits_and_their_limit() {
        let available = ("proc/sys/kernel/random/entropy_avail", "200\n");
        let machine = Machine::new(&[available, ("proc/sys/kernel/random/poolsize", "256\n")]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains("\nnode_entropy_available_bits 200\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_entropy_pool_size_bits 256\n"),
            "{text}"
        );
        assert!(collected(&DEFINITION, &Machine::new(&[available])).is_err());
    }
}

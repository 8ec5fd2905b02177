//! NVMe controllers: model, serial number, firmware, state.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, none_if_missing, whole};
use crate::roots::{Directory, Roots, entries};

pub(super) const DEFINITION: Definition = Definition {
    name: "nvme",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let class = roots.sysfs.join("class/nvme");
    let devices = entries(&class).map_err(none_if_missing)?;
    whole(out, |out| {
        for device in devices {
            let directory = Directory::open(&class.join(&device))?;
            out.gauge(
                "node_nvme_info",
                "Non-numeric data from /sys/class/nvme/<device>, value is always 1.",
            )
            .add(
                &[
                    ("device", &device),
                    ("firmware_revision", &directory.value("firmware_rev")?),
                    ("model", &directory.value("model")?),
                    ("serial", &directory.value("serial")?),
                    ("state", &directory.value("state")?),
                ],
                1_u64,
            );
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn a_controller_is_told_whole_or_not_at_all() {
        let files = [
            ("sys/class/nvme/nvme0/firmware_rev", "FW1     \n"),
            ("sys/class/nvme/nvme0/model", "Fast Disk 9\n"),
            ("sys/class/nvme/nvme0/serial", "S1 \n"),
            ("sys/class/nvme/nvme0/state", "live\n"),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        let line = "node_nvme_info{device=\"nvme0\",firmware_revision=\"FW1\",model=\"Fast Disk 9\",serial=\"S1\",state=\"live\"} 1";
        assert!(text.contains(&format!("\n{line}\n")), "{text}");
        let error = collected(&DEFINITION, &Machine::new(&files[1..])).unwrap_err();
        assert!(matches!(error, CollectError::Read(_)));
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}

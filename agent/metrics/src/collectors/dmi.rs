//! What the firmware says of the machine: maker, model, serial numbers.

use std::sync::OnceLock;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, none_if_missing};
use crate::roots::{Directory, Roots};

pub(super) const DEFINITION: Definition = Definition {
    name: "dmi",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(Dmi::default())),
};

/// Labels and files.
const VALUES: &[(&str, &str)] = &[
    ("bios_date", "bios_date"),
    ("bios_release", "bios_release"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_family", "product_family"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_sku", "product_sku"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("system_vendor", "sys_vendor"),
];

/// It does not change until the machine is started anew: it is read once.
#[derive(Default)]
struct Dmi(OnceLock<Vec<(&'static str, String)>>);

impl Collector for Dmi {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let values = match self.0.get() {
            Some(values) => values,
            None => {
                let values = read(roots)?;
                self.0.get_or_init(|| values)
            }
        };
        let labels: Vec<(&str, &str)> = values
            .iter()
            .map(|(label, value)| (*label, value.as_str()))
            .collect();
        out.gauge("node_dmi_info", HELP).add(&labels, 1_u64);
        Ok(())
    }
}

const HELP: &str = "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, product_sku, product_uuid, product_version, system_vendor if provided by DMI.";

fn read(roots: &Roots) -> Result<Vec<(&'static str, String)>, CollectError> {
    let directory = Directory::open(&roots.sysfs.join("class/dmi/id")).map_err(none_if_missing)?;
    let mut values = Vec::new();
    for (label, file) in VALUES {
        match directory.value(file) {
            Ok(value) => values.push((*label, value)),
            // Serial numbers are for root.
            Err(error) if error.is_missing() || error.is_forbidden() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if values.is_empty() {
        return Err(CollectError::NoData);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn what_there_is_makes_the_labels() {
        let machine = Machine::new(&[
            ("sys/class/dmi/id/bios_vendor", "Firm Ware \n"),
            ("sys/class/dmi/id/sys_vendor", "\n"),
            ("sys/class/dmi/id/modalias", "dmi:x"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        let line = "\nnode_dmi_info{bios_vendor=\"Firm Ware\",system_vendor=\"\"} 1\n";
        assert!(text.contains(line), "{text}");
        let machine = Machine::new(&[("sys/class/dmi/id/modalias", "dmi:x")]);
        let error = collected(&DEFINITION, &machine).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}

//! Memory pages that are shared because they are the same.

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Definition};
use crate::roots::{Directory, Roots};

pub(super) const DEFINITION: Definition = Definition {
    name: "ksmd",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

struct Attribute {
    file: &'static str,
    name: &'static str,
    help: &'static str,
    kind: Kind,
    /// How many of them are one in the family.
    per_unit: u32,
}

macro_rules! attributes {
    ($($file:literal $kind:ident $key:literal $per_unit:literal,)+) => {
        &[$(Attribute {
            file: $file,
            name: concat!("node_ksmd_", $key),
            help: concat!("ksmd '", $file, "' file."),
            kind: Kind::$kind,
            per_unit: $per_unit,
        }),+]
    };
}

const ATTRIBUTES: &[Attribute] = attributes! {
    "full_scans" Counter "full_scans_total" 1,
    "merge_across_nodes" Gauge "merge_across_nodes" 1,
    "pages_shared" Gauge "pages_shared" 1,
    "pages_sharing" Gauge "pages_sharing" 1,
    "pages_to_scan" Gauge "pages_to_scan" 1,
    "pages_unshared" Gauge "pages_unshared" 1,
    "pages_volatile" Gauge "pages_volatile" 1,
    "run" Gauge "run" 1,
    "sleep_millisecs" Gauge "sleep_seconds" 1000,
};

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let directory = Directory::open(&roots.sysfs.join("kernel/mm/ksm"))?;
    for attribute in ATTRIBUTES {
        let text = directory.read(attribute.file)?;
        let value = text.trim().parse::<u64>();
        let value = value.map_err(|_| CollectError::malformed(attribute.file, text.trim()))?;
        #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
        let value = value as f64 / f64::from(attribute.per_unit);
        out.family(attribute.name, attribute.kind, attribute.help)
            .add(&[], value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn all_or_an_error() {
        let paths: Vec<String> = ATTRIBUTES
            .iter()
            .map(|attribute| format!("sys/kernel/mm/ksm/{}", attribute.file))
            .collect();
        let mut files: Vec<(&str, &str)> =
            paths.iter().map(|path| (path.as_str(), "20\n")).collect();
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        assert!(text.contains("\nnode_ksmd_sleep_seconds 0.02\n"), "{text}");
        assert!(text.contains(
            "\n# TYPE node_ksmd_full_scans_total counter\nnode_ksmd_full_scans_total 20\n"
        ));
        files[3].1 = "-1\n";
        assert!(collected(&DEFINITION, &Machine::new(&files)).is_err());
        files.pop();
        assert!(collected(&DEFINITION, &Machine::new(&files)).is_err());
    }
}

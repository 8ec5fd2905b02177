//! Errors that the memory controllers have found, and set right or not.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, count};
use crate::roots::{Directory, Roots, names};

pub(super) const DEFINITION: Definition = Definition {
    name: "edac",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let controllers = roots.sysfs.join("devices/system/edac/mc");
    for name in names(&controllers)? {
        let Some(controller) = number_behind("mc", &name) else {
            continue;
        };
        let path = controllers.join(&name);
        let directory = Directory::open(&path)?;
        out.counter(
            "node_edac_correctable_errors_total",
            "Total correctable memory errors.",
        )
        .add(
            &[("controller", controller)],
            count(&directory, "ce_count")?,
        );
        let labels = [("controller", controller), ("csrow", "unknown")];
        let errors = count(&directory, "ce_noinfo_count")?;
        out.counter(CORRECTABLE.0, CORRECTABLE.1)
            .add(&labels, errors);
        out.counter(
            "node_edac_uncorrectable_errors_total",
            "Total uncorrectable memory errors.",
        )
        .add(
            &[("controller", controller)],
            count(&directory, "ue_count")?,
        );
        let errors = count(&directory, "ue_noinfo_count")?;
        out.counter(UNCORRECTABLE.0, UNCORRECTABLE.1)
            .add(&labels, errors);
        for name in names(&path)? {
            let Some(row) = number_behind("csrow", &name) else {
                continue;
            };
            let labels = [("controller", controller), ("csrow", row)];
            let directory = directory.within(&name)?;
            let errors = count(&directory, "ce_count")?;
            out.counter(CORRECTABLE.0, CORRECTABLE.1)
                .add(&labels, errors);
            let errors = count(&directory, "ue_count")?;
            out.counter(UNCORRECTABLE.0, UNCORRECTABLE.1)
                .add(&labels, errors);
        }
    }
    Ok(())
}

const CORRECTABLE: (&str, &str) = (
    "node_edac_csrow_correctable_errors_total",
    "Total correctable memory errors for this csrow.",
);

const UNCORRECTABLE: (&str, &str) = (
    "node_edac_csrow_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this csrow.",
);

/// The number of a name such as `mc0`, without what follows it.
fn number_behind<'a>(word: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(word)?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit());
    let digits = &rest[..end.unwrap_or(rest.len())];
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn controllers_and_their_rows() {
        let mut files = vec![
            ("sys/devices/system/edac/mc/mc1/ce_count", "4\n"),
            ("sys/devices/system/edac/mc/mc1/ce_noinfo_count", "3\n"),
            ("sys/devices/system/edac/mc/mc1/ue_count", "2\n"),
            ("sys/devices/system/edac/mc/mc1/ue_noinfo_count", "1\n"),
            ("sys/devices/system/edac/mc/mc1/csrow7/ce_count", "6\n"),
            ("sys/devices/system/edac/mc/mc1/csrow7/ue_count", "5\n"),
            ("sys/devices/system/edac/mc/power/control", "auto\n"),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        for line in [
            "node_edac_correctable_errors_total{controller=\"1\"} 4",
            "node_edac_csrow_correctable_errors_total{controller=\"1\",csrow=\"unknown\"} 3",
            "node_edac_csrow_uncorrectable_errors_total{controller=\"1\",csrow=\"7\"} 5",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        files[2].1 = "many\n";
        assert!(collected(&DEFINITION, &Machine::new(&files)).is_err());
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
    }
}

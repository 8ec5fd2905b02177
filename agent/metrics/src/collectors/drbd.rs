//! DRBD: disks that are mirrored over the network, by `/proc/drbd` of releases before 9.

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Definition, none_if_missing};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "drbd",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "drbd";

/// Keys, metrics, and what a number is multiplied with.
#[rustfmt::skip]
const NUMBERS: &[(&str, &str, Kind, f64, &str)] = &[
    ("ns", "node_drbd_network_sent_bytes_total", Kind::Counter, 1024.0, "Total number of bytes sent via the network."),
    ("nr", "node_drbd_network_received_bytes_total", Kind::Counter, 1.0, "Total number of bytes received via the network."),
    ("dw", "node_drbd_disk_written_bytes_total", Kind::Counter, 1024.0, "Net data written on local hard disk; in bytes."),
    ("dr", "node_drbd_disk_read_bytes_total", Kind::Counter, 1024.0, "Net data read from local hard disk; in bytes."),
    ("al", "node_drbd_activitylog_writes_total", Kind::Counter, 1.0, "Number of updates of the activity log area of the meta data."),
    ("bm", "node_drbd_bitmap_writes_total", Kind::Counter, 1.0, "Number of updates of the bitmap area of the meta data."),
    ("lo", "node_drbd_local_pending", Kind::Gauge, 1.0, "Number of open requests to the local I/O sub-system."),
    ("pe", "node_drbd_remote_pending", Kind::Gauge, 1.0, "Number of requests sent to the peer, but that have not yet been answered by the latter."),
    ("ua", "node_drbd_remote_unacknowledged", Kind::Gauge, 1.0, "Number of requests received by the peer via the network connection, but that have not yet been answered."),
    ("ap", "node_drbd_application_pending", Kind::Gauge, 1.0, "Number of block I/O requests forwarded to DRBD, but not yet answered by DRBD."),
    ("ep", "node_drbd_epochs", Kind::Gauge, 1.0, "Number of Epochs currently on the fly."),
    ("oos", "node_drbd_out_of_sync_bytes", Kind::Gauge, 1024.0, "Amount of data known to be out of sync; in bytes."),
];

/// Keys, metrics, and the word that is the good one; here and at the other end.
#[rustfmt::skip]
const PAIRS: &[(&str, &str, &str, &str)] = &[
    ("ro", "node_drbd_node_role_is_primary", "Primary", "Whether the role of the node is in the primary state."),
    ("ds", "node_drbd_disk_state_is_up_to_date", "UpToDate", "Whether the disk of the node is up to date."),
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE).map_err(none_if_missing)?;
    let mut device = "unknown".to_owned();
    for word in text.split_whitespace() {
        let Some((key, value)) = word.split_once(':') else {
            continue;
        };
        if value.contains(':') {
            continue;
        }
        if let (Ok(number), "") = (key.parse::<u64>(), value) {
            device = format!("drbd{number}");
        } else if let Some((_, metric, kind, factor, help)) =
            NUMBERS.iter().find(|(known, ..)| *known == key)
        {
            let number: Result<f64, _> = value.parse();
            let number = number.map_err(|_| CollectError::malformed(FILE, word))?;
            out.family(*metric, *kind, *help)
                .add(&[("device", &device)], number * factor);
        } else if let Some((_, metric, good, help)) = PAIRS.iter().find(|(known, ..)| *known == key)
        {
            let mut ends = value.split('/');
            let (Some(here), Some(there)) = (ends.next(), ends.next()) else {
                return Err(CollectError::malformed(FILE, word));
            };
            out.gauge(*metric, *help)
                .add(&[("device", &device), ("node", "local")], here == *good)
                .add(&[("device", &device), ("node", "remote")], there == *good);
        } else if key == "cs" {
            out.gauge(
                "node_drbd_connected",
                "Whether DRBD is connected to the peer.",
            )
            .add(&[("device", &device)], value == "Connected");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn devices_and_both_ends() {
        let told = |text| collected(&DEFINITION, &Machine::new(&[("proc/drbd", text)]));
        let text = told(
            "version: 8.4.11 (api:1/proto:86-101)\n 7: cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C r-----\n    ns:2 nr:3 oos:4 wo:f\n",
        );
        let text = text.unwrap();
        for line in [
            "node_drbd_connected{device=\"drbd7\"} 0",
            "node_drbd_node_role_is_primary{device=\"drbd7\",node=\"local\"} 1",
            "node_drbd_disk_state_is_up_to_date{device=\"drbd7\",node=\"remote\"} 0",
            "node_drbd_network_sent_bytes_total{device=\"drbd7\"} 2048",
            "node_drbd_network_received_bytes_total{device=\"drbd7\"} 3",
            "node_drbd_out_of_sync_bytes{device=\"drbd7\"} 4096",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        assert!(told(" 0: ns:many\n").is_err());
        assert!(told(" 0: ro:Primary\n").is_err());
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}

//! InfiniBand: devices, their ports, and what has gone through those.

use std::path::Path;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, none_if_missing, whole};
use crate::roots::{Directory, ReadError, Roots, entries, names, unsigned};

pub(super) const DEFINITION: Definition = Definition {
    name: "infiniband",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let class = roots.sysfs.join("class/infiniband");
    let devices = entries(&class).map_err(none_if_missing)?;
    whole(out, |out| {
        for name in devices {
            device(&name, &Directory::open(&class.join(&name))?, out)?;
        }
        Ok(())
    })
}

fn device(name: &str, directory: &Directory, out: &mut Exposition) -> Result<(), CollectError> {
    let adapter = match directory.value("hca_type") {
        // Not every driver has one.
        Err(error) if error.is_missing() => String::new(),
        value => value?,
    };
    out.gauge(
        "node_infiniband_info",
        "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.",
    )
    .add(
        &[
            ("board_id", &directory.value("board_id")?),
            ("device", name),
            ("firmware_version", &directory.value("fw_ver")?),
            ("hca_type", &adapter),
        ],
        1_u64,
    );
    let ports = directory.path().join("ports");
    for entry in entries(&ports)? {
        let Ok(number) = entry.parse::<u32>() else {
            return Err(CollectError::malformed(ports.display().to_string(), entry));
        };
        let directory = Directory::open(&ports.join(&entry))?;
        let labels = [("device", name), ("port", &number.to_string())];
        port(&directory, &labels, out)?;
    }
    Ok(())
}

fn port(
    directory: &Directory,
    labels: &[(&str, &str)],
    out: &mut Exposition,
) -> Result<(), CollectError> {
    out.gauge("node_infiniband_state_id", "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)")
        .add(labels, state(directory, "state")?);
    out.gauge("node_infiniband_physical_state_id", "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, 6: link error recover, 7: phytest)")
        .add(labels, state(directory, "phys_state")?);
    out.gauge(
        "node_infiniband_rate_bytes_per_second",
        "Maximum signal transfer rate",
    )
    .add(labels, rate(directory)?);
    let current = directory.path().join("counters");
    counters(COUNTERS, &current, entries(&current)?, labels, out)?;
    let older = directory.path().join("counters_ext");
    counters(OLDER_COUNTERS, &older, names(&older)?, labels, out)
}

/// `4: ACTIVE`
fn state(directory: &Directory, name: &str) -> Result<u32, CollectError> {
    let value = directory.value(name)?;
    let number = value.split_once(':').and_then(|(number, word)| {
        let number = number.trim().parse().ok();
        number.filter(|_| !word.contains(':'))
    });
    number.ok_or_else(|| malformed(directory, name, value))
}

/// `40 Gb/sec (4X QDR)`
fn rate(directory: &Directory) -> Result<u64, CollectError> {
    const NAME: &str = "rate";
    const GIGABIT: f64 = 125_000_000.0;
    let value = directory.value(NAME)?;
    let number = value.split_once(' ').map(|(number, _)| number.parse());
    match number {
        Some(Ok(number)) => {
            let number: f32 = number;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is a number of bytes"
            )]
            Ok((f64::from(number) * GIGABIT) as u64)
        }
        _ => Err(malformed(directory, NAME, value)),
    }
}

fn counters(
    table: &'static [(&str, &str, &str)],
    path: &Path,
    files: Vec<String>,
    labels: &[(&str, &str)],
    out: &mut Exposition,
) -> Result<(), CollectError> {
    if files.is_empty() {
        return Ok(());
    }
    let directory = Directory::open(path)?;
    for file in files {
        let Ok(place) = table.binary_search_by_key(&file.as_str(), |(known, ..)| known) else {
            continue;
        };
        let (_, metric, help) = table[place];
        let value = match directory.value(&file) {
            Ok(value) => value,
            Err(error) if is_none_here(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(number) = unsigned(&value) else {
            // So older drivers say that they do not count it.
            if value.contains("N/A (no PMA)") {
                continue;
            }
            return Err(malformed(&directory, &file, value));
        };
        // Data is counted on each of four lanes.
        let lanes = if file.contains("_data") { 4 } else { 1 };
        out.counter(metric, help)
            .add(labels, number.wrapping_mul(lanes));
    }
    Ok(())
}

fn is_none_here(error: &ReadError) -> bool {
    error.is_unanswered() || error.is_forbidden()
}

fn malformed(directory: &Directory, name: &str, value: String) -> CollectError {
    CollectError::malformed(directory.path().join(name).display().to_string(), value)
}

/// Files of `counters`, metrics and their help, by file.
#[rustfmt::skip]
const COUNTERS: &[(&str, &str, &str)] = &[
    ("VL15_dropped", "node_infiniband_vl15_dropped_total", "Number of incoming VL15 packets dropped due to resource limitations."),
    ("excessive_buffer_overrun_errors", "node_infiniband_excessive_buffer_overrun_errors_total", "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at least one overrun error."),
    ("link_downed", "node_infiniband_link_downed_total", "Number of times the link failed to recover from an error state and went down"),
    ("link_error_recovery", "node_infiniband_link_error_recovery_total", "Number of times the link successfully recovered from an error state"),
    ("local_link_integrity_errors", "node_infiniband_local_link_integrity_errors_total", "Number of times that the count of local physical errors exceeded the threshold specified by LocalPhyErrors."),
    ("multicast_rcv_packets", "node_infiniband_multicast_packets_received_total", "Number of multicast packets received (including errors)"),
    ("multicast_xmit_packets", "node_infiniband_multicast_packets_transmitted_total", "Number of multicast packets transmitted (including errors)"),
    ("port_rcv_constraint_errors", "node_infiniband_port_constraint_errors_received_total", "Number of packets received on the switch physical port that are discarded"),
    ("port_rcv_data", "node_infiniband_port_data_received_bytes_total", "Number of data octets received on all links"),
    ("port_rcv_discards", "node_infiniband_port_discards_received_total", "Number of inbound packets discarded by the port because the port is down or congested"),
    ("port_rcv_errors", "node_infiniband_port_errors_received_total", "Number of packets containing an error that were received on this port"),
    ("port_rcv_packets", "node_infiniband_port_packets_received_total", "Number of packets received on all VLs by this port (including errors)"),
    ("port_rcv_remote_physical_errors", "node_infiniband_port_receive_remote_physical_errors_total", "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port."),
    ("port_rcv_switch_relay_errors", "node_infiniband_port_receive_switch_relay_errors_total", "Number of packets that could not be forwarded by the switch."),
    ("port_xmit_constraint_errors", "node_infiniband_port_constraint_errors_transmitted_total", "Number of packets not transmitted from the switch physical port"),
    ("port_xmit_data", "node_infiniband_port_data_transmitted_bytes_total", "Number of data octets transmitted on all links"),
    ("port_xmit_discards", "node_infiniband_port_discards_transmitted_total", "Number of outbound packets discarded by the port because the port is down or congested"),
    ("port_xmit_packets", "node_infiniband_port_packets_transmitted_total", "Number of packets transmitted on all VLs from this port (including errors)"),
    ("port_xmit_wait", "node_infiniband_port_transmit_wait_total", "Number of ticks during which the port had data to transmit but no data was sent during the entire tick"),
    ("symbol_error", "node_infiniband_symbol_error_total", "Number of minor link errors detected on one or more physical lanes."),
    ("unicast_rcv_packets", "node_infiniband_unicast_packets_received_total", "Number of unicast packets received (including errors)"),
    ("unicast_xmit_packets", "node_infiniband_unicast_packets_transmitted_total", "Number of unicast packets transmitted (including errors)"),
];

/// Files of `counters_ext`, where older kernels have what does not fit into 32 bits.
#[rustfmt::skip]
const OLDER_COUNTERS: &[(&str, &str, &str)] = &[
    ("port_multicast_rcv_packets", "node_infiniband_legacy_multicast_packets_received_total", "Number of multicast packets received"),
    ("port_multicast_xmit_packets", "node_infiniband_legacy_multicast_packets_transmitted_total", "Number of multicast packets transmitted"),
    ("port_rcv_data_64", "node_infiniband_legacy_data_received_bytes_total", "Number of data octets received on all links"),
    ("port_rcv_packets_64", "node_infiniband_legacy_packets_received_total", "Number of data packets received on all links"),
    ("port_unicast_rcv_packets", "node_infiniband_legacy_unicast_packets_received_total", "Number of unicast packets received"),
    ("port_unicast_xmit_packets", "node_infiniband_legacy_unicast_packets_transmitted_total", "Number of unicast packets transmitted"),
    ("port_xmit_data_64", "node_infiniband_legacy_data_transmitted_bytes_total", "Number of data octets transmitted on all links"),
    ("port_xmit_packets_64", "node_infiniband_legacy_packets_transmitted_total", "Number of data packets received on all links"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn tables_are_sorted() {
        assert!(COUNTERS.is_sorted_by_key(|(file, ..)| file));
        assert!(OLDER_COUNTERS.is_sorted_by_key(|(file, ..)| file));
    }

    #[test]
    fn ports_have_states_and_counters() {
        let mut files = vec![
            ("sys/class/infiniband/hca0/board_id", "X1\n"),
            ("sys/class/infiniband/hca0/fw_ver", "2.31\n"),
            ("sys/class/infiniband/hca0/ports/1/state", "4: ACTIVE\n"),
            (
                "sys/class/infiniband/hca0/ports/1/phys_state",
                "5: LinkUp\n",
            ),
            (
                "sys/class/infiniband/hca0/ports/1/rate",
                "2.5 Gb/sec (1X SDR)\n",
            ),
            (
                "sys/class/infiniband/hca0/ports/1/counters/port_rcv_data",
                "100\n",
            ),
            (
                "sys/class/infiniband/hca0/ports/1/counters/link_downed",
                "N/A (no PMA)\n",
            ),
            ("sys/class/infiniband/hca0/ports/1/counters/other", "x\n"),
            (
                "sys/class/infiniband/hca0/ports/1/counters_ext/port_xmit_packets_64",
                "7\n",
            ),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        for line in [
            "node_infiniband_info{board_id=\"X1\",device=\"hca0\",firmware_version=\"2.31\",hca_type=\"\"} 1",
            "node_infiniband_state_id{device=\"hca0\",port=\"1\"} 4",
            "node_infiniband_physical_state_id{device=\"hca0\",port=\"1\"} 5",
            "node_infiniband_rate_bytes_per_second{device=\"hca0\",port=\"1\"} 3.125e+08",
            "node_infiniband_port_data_received_bytes_total{device=\"hca0\",port=\"1\"} 400",
            "node_infiniband_legacy_packets_transmitted_total{device=\"hca0\",port=\"1\"} 7",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        assert!(!text.contains("link_downed"), "{text}");
        for (place, odd) in [(2, "ACTIVE\n"), (4, "fast\n"), (5, "-1\n")] {
            let before = std::mem::replace(&mut files[place].1, odd);
            let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
            assert!(matches!(error, CollectError::Malformed { .. }), "{error}");
            files[place].1 = before;
        }
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}

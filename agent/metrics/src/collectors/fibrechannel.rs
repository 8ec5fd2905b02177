//! Fibre Channel: host adapters, and what has gone through them.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, none_if_missing, whole};
use crate::roots::{Directory, Roots, entries, unsigned};

pub(super) const DEFINITION: Definition = Definition {
    name: "fibrechannel",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// What firmware says that does not count something.
const NOT_COUNTED: u64 = u64::MAX;

/// Files of `statistics`, metrics and their help.
#[rustfmt::skip]
const COUNTERS: &[(&str, &str, &str)] = &[
    ("dumped_frames", "node_fibrechannel_dumped_frames_total", "Number of dumped frames"),
    ("error_frames", "node_fibrechannel_error_frames_total", "Number of errors in frames"),
    ("invalid_crc_count", "node_fibrechannel_invalid_crc_total", "Invalid Cyclic Redundancy Check count"),
    ("rx_frames", "node_fibrechannel_rx_frames_total", "Number of frames received"),
    ("rx_words", "node_fibrechannel_rx_words_total", "Number of words received by host port"),
    ("tx_frames", "node_fibrechannel_tx_frames_total", "Number of frames transmitted by host port"),
    ("tx_words", "node_fibrechannel_tx_words_total", "Number of words transmitted by host port"),
    ("seconds_since_last_reset", "node_fibrechannel_seconds_since_last_reset_total", "Number of seconds since last host port reset"),
    ("invalid_tx_word_count", "node_fibrechannel_invalid_tx_words_total", "Number of invalid words transmitted by host port"),
    ("link_failure_count", "node_fibrechannel_link_failure_total", "Number of times the host port link has failed"),
    ("loss_of_sync_count", "node_fibrechannel_loss_of_sync_total", "Number of failures on either bit or transmission word boundaries"),
    ("loss_of_signal_count", "node_fibrechannel_loss_of_signal_total", "Number of times signal has been lost"),
    ("nos_count", "node_fibrechannel_nos_total", "Number Not_Operational Primitive Sequence received by host port"),
    ("fcp_packet_aborts", "node_fibrechannel_fcp_packet_aborts_total", "Number of aborted packets"),
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let class = roots.sysfs.join("class/fc_host");
    let hosts = entries(&class).map_err(none_if_missing)?;
    whole(out, |out| {
        for name in hosts {
            host(&name, &Directory::open(&class.join(&name))?, out)?;
        }
        Ok(())
    })
}

fn host(name: &str, directory: &Directory, out: &mut Exposition) -> Result<(), CollectError> {
    let value = |file| directory.value(file);
    // These are written as hexadecimal numbers, and told without what says so.
    let digits = |file| {
        let value = directory.value(file)?;
        let digits = value.get(2..).filter(|digits| !digits.is_empty());
        Ok::<_, CollectError>(digits.unwrap_or(&value).to_owned())
    };
    out.gauge(
        "node_fibrechannel_info",
        "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.",
    )
    .add(
        &[
            ("dev_loss_tmo", &value("dev_loss_tmo")?),
            ("fabric_name", &digits("fabric_name")?),
            ("fc_host", name),
            ("port_id", &digits("port_id")?),
            ("port_name", &digits("port_name")?),
            ("port_state", &value("port_state")?),
            ("port_type", &value("port_type")?),
            ("speed", &value("speed")?),
            ("supported_classes", &value("supported_classes")?),
            ("supported_speeds", &value("supported_speeds")?),
            ("symbolic_name", &value("symbolic_name")?),
        ],
        1_u64,
    );
    let statistics = directory.within("statistics")?;
    for (file, metric, help) in COUNTERS {
        let number = match statistics.value(file) {
            Ok(value) => unsigned(&value).ok_or_else(|| {
                let file = statistics.path().join(file);
                CollectError::malformed(file.display().to_string(), value)
            })?,
            Err(error) if error.is_unanswered() => 0,
            Err(error) => return Err(error.into()),
        };
        if number != NOT_COUNTED {
            out.counter(*metric, *help)
                .add(&[("fc_host", name)], number);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn an_adapter_and_its_counters() {
        let mut files = vec![
            ("sys/class/fc_host/host9/dev_loss_tmo", "30\n"),
            ("sys/class/fc_host/host9/fabric_name", "0x0\n"),
            ("sys/class/fc_host/host9/port_id", "0x000002\n"),
            ("sys/class/fc_host/host9/port_name", "0x1000aabb\n"),
            ("sys/class/fc_host/host9/port_state", "Online\n"),
            ("sys/class/fc_host/host9/port_type", "Point-To-Point\n"),
            ("sys/class/fc_host/host9/speed", "16 Gbit\n"),
            ("sys/class/fc_host/host9/supported_classes", "Class 3\n"),
            (
                "sys/class/fc_host/host9/supported_speeds",
                "8 Gbit, 16 Gbit\n",
            ),
            ("sys/class/fc_host/host9/symbolic_name", "Card\n"),
            ("sys/class/fc_host/host9/statistics/rx_frames", "0x1f\n"),
            (
                "sys/class/fc_host/host9/statistics/tx_frames",
                "0xffffffffffffffff\n",
            ),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        for line in [
            "node_fibrechannel_info{dev_loss_tmo=\"30\",fabric_name=\"0\",fc_host=\"host9\",port_id=\"000002\",port_name=\"1000aabb\",port_state=\"Online\",port_type=\"Point-To-Point\",speed=\"16 Gbit\",supported_classes=\"Class 3\",supported_speeds=\"8 Gbit, 16 Gbit\",symbolic_name=\"Card\"} 1",
            "node_fibrechannel_rx_frames_total{fc_host=\"host9\"} 31",
            "node_fibrechannel_nos_total{fc_host=\"host9\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        assert!(!text.contains("tx_frames_total"), "{text}");
        files[10].1 = "some\n";
        let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
        assert!(matches!(error, CollectError::Malformed { .. }));
        let error = collected(&DEFINITION, &Machine::new(&files[1..])).unwrap_err();
        assert!(matches!(error, CollectError::Read(_)));
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}

//! Tapes: what has been read from and written to them, and how long it took.

use brine_exposition::{Exposition, Kind};

use crate::collector::{
    CollectError, Collector, Definition, Opt, Value, count, none_if_missing, whole,
};
use crate::pattern::Filter;
use crate::roots::{Directory, Roots, entries};

pub(super) const DEFINITION: Definition = Definition {
    name: "tapestats",
    enabled: true,
    options: &[Opt {
        name: IGNORED,
        help: "Devices to leave out: a regular expression.",
        default: Value::Text("^$"),
    }],
    new: |options| {
        let devices = Filter::excluding(options, IGNORED)?;
        Ok(Box::new(Tapes { devices }))
    },
};

const IGNORED: &str = "ignored-devices";

struct Tapes {
    devices: Filter,
}

/// Files of `stats`, metrics and their help.
#[rustfmt::skip]
const COUNTERS: &[(&str, &str, Kind, &str)] = &[
    ("in_flight", "node_tape_io_now", Kind::Gauge, "The number of I/Os currently outstanding to this device."),
    ("io_ns", "node_tape_io_time_seconds_total", Kind::Counter, "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape movement commands such as seeking between file or set marks and implicit tape movement such as when rewind on close tape devices are used."),
    ("other_cnt", "node_tape_io_others_total", Kind::Counter, "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete these commands uses the following calculation io_time_seconds_total-read_time_seconds_total-write_time_seconds_total"),
    ("read_byte_cnt", "node_tape_read_bytes_total", Kind::Counter, "The number of bytes read from the tape drive."),
    ("read_cnt", "node_tape_reads_completed_total", Kind::Counter, "The number of read requests issued to the tape drive."),
    ("read_ns", "node_tape_read_time_seconds_total", Kind::Counter, "The amount of time spent waiting for read requests to complete."),
    ("resid_cnt", "node_tape_residual_total", Kind::Counter, "The number of times during a read or write we found the residual amount to be non-zero. This should mean that a program is issuing a read larger thean the block size on tape. For write not all data made it to tape."),
    ("write_byte_cnt", "node_tape_written_bytes_total", Kind::Counter, "The number of bytes written to the tape drive."),
    ("write_cnt", "node_tape_writes_completed_total", Kind::Counter, "The number of write requests issued to the tape drive."),
    ("write_ns", "node_tape_write_time_seconds_total", Kind::Counter, "The amount of time spent waiting for write requests to complete."),
];

impl Collector for Tapes {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let class = roots.sysfs.join("class/scsi_tape");
        let mut tapes = entries(&class).map_err(none_if_missing)?;
        // Each tape has several names, for each way to wind it.
        tapes.retain(|name| is_tape(name));
        tapes.retain(|name| self.devices.takes(name));
        whole(out, |out| {
            for name in &tapes {
                let stats = Directory::open(&class.join(name).join("stats"))?;
                let labels = [("device", name.as_str())];
                for (file, metric, kind, help) in COUNTERS {
                    let value = match count(&stats, file) {
                        Err(CollectError::Read(error)) if error.is_missing() => 0,
                        value => value?,
                    };
                    let mut samples = out.family(*metric, *kind, *help);
                    if file.ends_with("_ns") {
                        #[expect(
                            clippy::cast_precision_loss,
                            reason = "samples are 64-bit floats"
                        )]
                        samples.add(&labels, value as f64 * 1e-9);
                    } else {
                        samples.add(&labels, value);
                    }
                }
            }
            Ok(())
        })
    }
}

fn is_tape(name: &str) -> bool {
    let number = name.strip_prefix("st").unwrap_or("");
    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    #[test]
    fn a_tape_is_told_once() {
        let mut files = vec![
            ("sys/class/scsi_tape/st3/stats/in_flight", "1\n"),
            ("sys/class/scsi_tape/st3/stats/read_ns", "33788355744\n"),
            ("sys/class/scsi_tape/st3a/stats/in_flight", "1\n"),
            ("sys/class/scsi_tape/nst3/stats/in_flight", "1\n"),
        ];
        let machine = Machine::new(&files);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_tape_io_now{device=\"st3\"} 1",
            "node_tape_read_time_seconds_total{device=\"st3\"} 33.788355744",
            "node_tape_written_bytes_total{device=\"st3\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        assert!(!text.contains("nst3") && !text.contains("st3a"), "{text}");
        let text = collected_with(&DEFINITION, &[(IGNORED, "^st3$")], &machine).unwrap();
        assert_eq!(text, "");
        files[0].1 = "none\n";
        let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
        assert!(matches!(error, CollectError::Malformed { .. }));
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}

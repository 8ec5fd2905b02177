//! NFS mounts: bytes, events, operations and the transport of each, as the client counts them.

use std::collections::HashSet;
use std::str::Lines;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "mountstats",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "self/mountstats";
const INFO: &str = "self/mountinfo";

type Metric = (&'static str, &'static str);

/// The numbers behind `bytes:`, in their order.
#[rustfmt::skip]
const BYTES: [Option<Metric>; 8] = [
    Some(("node_mountstats_nfs_read_bytes_total", "Number of bytes read using the read() syscall.")),
    Some(("node_mountstats_nfs_write_bytes_total", "Number of bytes written using the write() syscall.")),
    Some(("node_mountstats_nfs_direct_read_bytes_total", "Number of bytes read using the read() syscall in O_DIRECT mode.")),
    Some(("node_mountstats_nfs_direct_write_bytes_total", "Number of bytes written using the write() syscall in O_DIRECT mode.")),
    Some(("node_mountstats_nfs_total_read_bytes_total", "Number of bytes read from the NFS server, in total.")),
    Some(("node_mountstats_nfs_total_write_bytes_total", "Number of bytes written to the NFS server, in total.")),
    Some(("node_mountstats_nfs_read_pages_total", "Number of pages read directly via mmap()'d files.")),
    Some(("node_mountstats_nfs_write_pages_total", "Number of pages written directly via mmap()'d files.")),
];

/// The numbers behind `events:`, in their order; nothing is told of the wait for congestion.
#[rustfmt::skip]
const EVENTS: [Option<Metric>; 27] = [
    Some(("node_mountstats_nfs_event_inode_revalidate_total", "Number of times cached inode attributes are re-validated from the server.")),
    Some(("node_mountstats_nfs_event_dnode_revalidate_total", "Number of times cached dentry nodes are re-validated from the server.")),
    Some(("node_mountstats_nfs_event_data_invalidate_total", "Number of times an inode cache is cleared.")),
    Some(("node_mountstats_nfs_event_attribute_invalidate_total", "Number of times cached inode attributes are invalidated.")),
    Some(("node_mountstats_nfs_event_vfs_open_total", "Number of times cached inode attributes are invalidated.")),
    Some(("node_mountstats_nfs_event_vfs_lookup_total", "Number of times a directory lookup has occurred.")),
    Some(("node_mountstats_nfs_event_vfs_access_total", "Number of times permissions have been checked.")),
    Some(("node_mountstats_nfs_event_vfs_update_page_total", "Number of updates (and potential writes) to pages.")),
    Some(("node_mountstats_nfs_event_vfs_read_page_total", "Number of pages read directly via mmap()'d files.")),
    Some(("node_mountstats_nfs_event_vfs_read_pages_total", "Number of times a group of pages have been read.")),
    Some(("node_mountstats_nfs_event_vfs_write_page_total", "Number of pages written directly via mmap()'d files.")),
    Some(("node_mountstats_nfs_event_vfs_write_pages_total", "Number of times a group of pages have been written.")),
    Some(("node_mountstats_nfs_event_vfs_getdents_total", "Number of times directory entries have been read with getdents().")),
    Some(("node_mountstats_nfs_event_vfs_setattr_total", "Number of times directory entries have been read with getdents().")),
    Some(("node_mountstats_nfs_event_vfs_flush_total", "Number of pending writes that have been forcefully flushed to the server.")),
    Some(("node_mountstats_nfs_event_vfs_fsync_total", "Number of times fsync() has been called on directories and files.")),
    Some(("node_mountstats_nfs_event_vfs_lock_total", "Number of times locking has been attempted on a file.")),
    Some(("node_mountstats_nfs_event_vfs_file_release_total", "Number of times files have been closed and released.")),
    None,
    Some(("node_mountstats_nfs_event_truncation_total", "Number of times files have been truncated.")),
    Some(("node_mountstats_nfs_event_write_extension_total", "Number of times a file has been grown due to writes beyond its existing end.")),
    Some(("node_mountstats_nfs_event_silly_rename_total", "Number of times a file was removed while still open by another process.")),
    Some(("node_mountstats_nfs_event_short_read_total", "Number of times the NFS server gave less data than expected while reading.")),
    Some(("node_mountstats_nfs_event_short_write_total", "Number of times the NFS server wrote less data than expected while writing.")),
    Some(("node_mountstats_nfs_event_jukebox_delay_total", "Number of times the NFS server indicated EJUKEBOX; retrieving data from offline storage.")),
    Some(("node_mountstats_nfs_event_pnfs_read_total", "Number of NFS v4.1+ pNFS reads.")),
    Some(("node_mountstats_nfs_event_pnfs_write_total", "Number of NFS v4.1+ pNFS writes.")),
];

/// The numbers behind `xprt:` and the protocol, in their order.
#[rustfmt::skip]
const TRANSPORT: [Option<Metric>; 13] = [
    None,
    Some(("node_mountstats_nfs_transport_bind_total", "Number of times the client has had to establish a connection from scratch to the NFS server.")),
    Some(("node_mountstats_nfs_transport_connect_total", "Number of times the client has made a TCP connection to the NFS server.")),
    None,
    Some(("node_mountstats_nfs_transport_idle_time_seconds", "Duration since the NFS mount last saw any RPC traffic, in seconds.")),
    Some(("node_mountstats_nfs_transport_sends_total", "Number of RPC requests for this mount sent to the NFS server.")),
    Some(("node_mountstats_nfs_transport_receives_total", "Number of RPC responses for this mount received from the NFS server.")),
    Some(("node_mountstats_nfs_transport_bad_transaction_ids_total", "Number of times the NFS server sent a response with a transaction ID unknown to this client.")),
    None,
    Some(("node_mountstats_nfs_transport_backlog_queue_total", "Total number of items added to the RPC backlog queue.")),
    Some(("node_mountstats_nfs_transport_maximum_rpc_slots", "Maximum number of simultaneously active RPC requests ever used.")),
    Some(("node_mountstats_nfs_transport_sending_queue_total", "Total number of items added to the RPC transmission sending queue.")),
    Some(("node_mountstats_nfs_transport_pending_queue_total", "Total number of items added to the RPC transmission pending queue.")),
];

/// Places in [`TRANSPORT`] of what does not only grow.
const IDLE: usize = 4;
const SLOTS: usize = 10;

/// The numbers behind an operation's name, in their order.
#[rustfmt::skip]
const OPERATION: [Metric; 8] = [
    ("node_mountstats_nfs_operations_requests_total", "Number of requests performed for a given operation."),
    ("node_mountstats_nfs_operations_transmissions_total", "Number of times an actual RPC request has been transmitted for a given operation."),
    ("node_mountstats_nfs_operations_major_timeouts_total", "Number of times a request has had a major timeout for a given operation."),
    ("node_mountstats_nfs_operations_sent_bytes_total", "Number of bytes sent for a given operation, including RPC headers and payload."),
    ("node_mountstats_nfs_operations_received_bytes_total", "Number of bytes received for a given operation, including RPC headers and payload."),
    ("node_mountstats_nfs_operations_queue_time_seconds_total", "Duration all requests spent queued for transmission for a given operation before they were sent, in seconds."),
    ("node_mountstats_nfs_operations_response_time_seconds_total", "Duration all requests took to get a reply back after a request for a given operation was transmitted, in seconds."),
    ("node_mountstats_nfs_operations_request_time_seconds_total", "Duration all requests took from when a request was enqueued to when it was completely handled for a given operation, in seconds."),
];

/// From this place in [`OPERATION`] on they are milliseconds.
const MILLISECONDS: usize = 5;

/// What one mount says.
struct Mount<'a> {
    export: &'a str,
    age: f64,
    bytes: [u64; BYTES.len()],
    events: [u64; EVENTS.len()],
    protocol: &'a str,
    transport: [u64; TRANSPORT.len()],
    operations: Vec<(&'a str, [u64; OPERATION.len()])>,
}

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let stats = roots.proc(FILE)?;
    let mounts = mounts(&stats)?;
    let info = roots.proc(INFO)?;
    let addresses = addresses(&info)?;
    let mut told = HashSet::new();
    for (place, mount) in mounts {
        // Both files have all mounts, in the same order.
        let address = addresses.get(place).copied().unwrap_or("");
        // An export that is mounted twice is counted once.
        if told.insert((mount.export, mount.protocol, address)) {
            mount.tell(address, out);
        }
    }
    Ok(())
}

/// NFS mounts, each with its place among all mounts.
fn mounts(text: &str) -> Result<Vec<(usize, Mount<'_>)>, CollectError> {
    let mut mounts = Vec::new();
    let mut place = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // `device EXPORT mounted on PATH with fstype KIND statvers=1.1`
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() != Some(&"device") {
            continue;
        }
        match words.as_slice() {
            ["device", _, "mounted", "on", _, "with", "fstype", _] => {}
            [
                "device",
                export,
                "mounted",
                "on",
                _,
                "with",
                "fstype",
                "nfs" | "nfs4",
                version,
                ..,
            ] => {
                let version = version.strip_prefix("statvers=").unwrap_or(version);
                mounts.push((place, Mount::read(export, version, &mut lines)?));
            }
            _ => return Err(malformed(line)),
        }
        place += 1;
    }
    Ok(mounts)
}

impl<'a> Mount<'a> {
    fn read(export: &'a str, version: &str, lines: &mut Lines<'a>) -> Result<Self, CollectError> {
        let mut mount = Self {
            export,
            age: 0.0,
            bytes: [0; BYTES.len()],
            events: [0; EVENTS.len()],
            protocol: "",
            transport: [0; TRANSPORT.len()],
            operations: Vec::new(),
        };
        let mut operations = false;
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((first, rest)) = words.split_first() else {
                break;
            };
            let read = if operations {
                mount.operation(first, rest)
            } else {
                match *first {
                    "age:" => mount.age(rest),
                    "bytes:" => exactly(rest).map(|bytes| mount.bytes = bytes),
                    "events:" => exactly(rest).map(|events| mount.events = events),
                    "xprt:" => mount.transport(version, rest),
                    "per-op" => {
                        operations = true;
                        Some(())
                    }
                    _ => Some(()),
                }
            };
            read.ok_or_else(|| malformed(line))?;
        }
        Ok(mount)
    }

    fn age(&mut self, words: &[&str]) -> Option<()> {
        self.age = words.first()?.parse().ok()?;
        Some(())
    }

    fn transport(&mut self, version: &str, words: &[&'a str]) -> Option<()> {
        let (protocol, words) = words.split_first()?;
        let numbers = numbers(words)?;
        let (connection, rest) = match (*protocol, version, numbers.len()) {
            ("tcp", "1.0", 10) | ("tcp", "1.1", 13) => numbers.split_at(5),
            // Where there is no connection, nothing is said of one.
            ("udp", "1.0", 7) | ("udp", "1.1", 10) => numbers.split_at(2),
            _ => return None,
        };
        self.protocol = protocol;
        self.transport = [0; TRANSPORT.len()];
        for (place, number) in connection.iter().enumerate() {
            self.transport[place] = *number;
        }
        for (place, number) in rest.iter().enumerate() {
            self.transport[5 + place] = *number;
        }
        Some(())
    }

    fn operation(&mut self, name: &'a str, words: &[&str]) -> Option<()> {
        let numbers = numbers(words)?;
        let numbers = *numbers.first_chunk()?;
        let name = name.strip_suffix(':').unwrap_or(name);
        self.operations.push((name, numbers));
        Some(())
    }

    fn tell(&self, address: &str, out: &mut Exposition) {
        let labels = [
            ("export", self.export),
            ("mountaddr", address),
            ("protocol", self.protocol),
        ];
        out.counter(
            "node_mountstats_nfs_age_seconds_total",
            "The age of the NFS mount in seconds.",
        )
        .add(&labels, self.age);
        let bytes = BYTES.iter().zip(self.bytes);
        for (metric, value) in bytes.chain(EVENTS.iter().zip(self.events)) {
            if let Some((name, help)) = metric {
                out.counter(*name, *help).add(&labels, value);
            }
        }
        for (place, (metric, value)) in TRANSPORT.iter().zip(self.transport).enumerate() {
            if let Some((name, help)) = metric {
                match place {
                    IDLE => out.gauge(*name, *help).add(&labels, value % MANTISSA),
                    SLOTS => out.gauge(*name, *help).add(&labels, value),
                    _ => out.counter(*name, *help).add(&labels, value),
                };
            }
        }
        for (operation, values) in &self.operations {
            let labels = [
                ("export", self.export),
                ("mountaddr", address),
                ("operation", operation),
                ("protocol", self.protocol),
            ];
            for (place, ((name, help), value)) in OPERATION.iter().zip(values).enumerate() {
                let mut samples = out.counter(*name, *help);
                if place < MILLISECONDS {
                    samples.add(&labels, *value);
                } else {
                    #[expect(clippy::cast_precision_loss, reason = "it has 53 bits")]
                    samples.add(&labels, (value % MANTISSA) as f64 / 1000.0);
                }
            }
        }
    }
}

/// Times run over below zero in some kernels: what is told of them wraps where a float would lose digits.
const MANTISSA: u64 = 1 << f64::MANTISSA_DIGITS;

fn numbers(words: &[&str]) -> Option<Vec<u64>> {
    words.iter().map(|word| word.parse().ok()).collect()
}

fn exactly<const COUNT: usize>(words: &[&str]) -> Option<[u64; COUNT]> {
    numbers(words)?.try_into().ok()
}

/// The server's address of each mount; empty where there is none.
fn addresses(text: &str) -> Result<Vec<&str>, CollectError> {
    let mut addresses = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (Some(id), Some(parent)) = (words.first(), words.get(1)) else {
            return Err(CollectError::malformed(INFO, line));
        };
        let is_known = id.parse::<i64>().is_ok() && parent.parse::<i64>().is_ok();
        let [.., "-", _, _, options] = words.as_slice() else {
            return Err(CollectError::malformed(INFO, line));
        };
        if !is_known || words.len() < 10 {
            return Err(CollectError::malformed(INFO, line));
        }
        let mut options = options
            .split(',')
            .filter_map(|option| option.split_once('='));
        let address = options.rfind(|(name, _)| *name == "addr");
        addresses.push(address.map_or("", |(_, value)| value));
    }
    Ok(addresses)
}

fn malformed(line: &str) -> CollectError {
    CollectError::malformed(FILE, line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const INFOS: &str = "21 0 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n194 21 0:42 / /mnt rw - nfs4 nas:/srv rw,vers=4.0,addr=192.0.2.7\n195 21 0:42 / /again rw - nfs4 nas:/srv rw,addr=192.0.2.7\n";

    fn told(stats: &str, infos: &str) -> Result<String, CollectError> {
        let files = [
            ("proc/self/mountstats", stats),
            ("proc/self/mountinfo", infos),
        ];
        collected(&DEFINITION, &Machine::new(&files))
    }

    fn stats(transport: &str) -> String {
        let events = "0 ".repeat(25);
        let mount = |path| {
            format!(
                "device nas:/srv mounted on {path} with fstype nfs4 statvers=1.1\n\topts:\trw\n\tage:\t13968\n\tevents:\t52 {events}9\n\tbytes:\t1 2 3 4 5 6 7 8\n\txprt:\t{transport}\n\tper-op statistics\n\t        READ: 1298 1 2 3 4 18446744073709551610 79386 79407 0\n\n"
            )
        };
        let (one, two) = (mount("/mnt"), mount("/again"));
        format!("device /dev/vda1 mounted on / with fstype ext4\n{one}{two}")
    }

    #[test]
    fn an_export_is_told_once() {
        let text = told(
            &stats("tcp 832 0 1 0 11 6428 6429 0 12154 5 24 26 5726"),
            INFOS,
        )
        .unwrap();
        let labels = "export=\"nas:/srv\",mountaddr=\"192.0.2.7\"";
        for line in [
            format!("node_mountstats_nfs_age_seconds_total{{{labels},protocol=\"tcp\"}} 13968"),
            format!("node_mountstats_nfs_write_pages_total{{{labels},protocol=\"tcp\"}} 8"),
            format!("node_mountstats_nfs_event_pnfs_write_total{{{labels},protocol=\"tcp\"}} 9"),
            format!(
                "node_mountstats_nfs_transport_receives_total{{{labels},protocol=\"tcp\"}} 6429"
            ),
            format!(
                "node_mountstats_nfs_transport_maximum_rpc_slots{{{labels},protocol=\"tcp\"}} 24"
            ),
            format!(
                "node_mountstats_nfs_operations_request_time_seconds_total{{{labels},operation=\"READ\",protocol=\"tcp\"}} 79.407"
            ),
            format!(
                "node_mountstats_nfs_operations_queue_time_seconds_total{{{labels},operation=\"READ\",protocol=\"tcp\"}} 9.007199254740986e+12"
            ),
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line} in {text}");
        }
        assert_eq!(
            text.matches("\nnode_mountstats_nfs_age_seconds_total{")
                .count(),
            1
        );
        let text = told(&stats("udp 832 0 6428 6429 0 12154 5 24 26 5726"), "").unwrap();
        let labels = "export=\"nas:/srv\",mountaddr=\"\",protocol=\"udp\"";
        let line = format!("node_mountstats_nfs_transport_pending_queue_total{{{labels}}} 5726");
        assert!(text.contains(&format!("\n{line}\n")), "{text}");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for odd in ["tcp 1 2", "tcp 1 2 3 4 5 6 7 8 9 10 11 12 x", "rdma 1", ""] {
            assert!(told(&stats(odd), INFOS).is_err(), "{odd}");
        }
        let good = stats("udp 832 0 6428 6429 0 12154 5 24 26 5726");
        assert!(told(&good, INFOS).is_ok());
        assert!(told(&good, "21 0 8:1 / / rw\n").is_err());
        assert!(told(&good.replace("1298 1", "1298 x"), INFOS).is_err());
        assert!(told(&good.replace("5 6 7 8", "5 6 7"), INFOS).is_err());
        assert!(told("device nas:/srv mounted on /mnt\n", INFOS).is_err());
        assert!(
            told(
                "device a mounted on / with fstype ext4 statvers=1.1\n",
                INFOS
            )
            .is_err()
        );
    }
}

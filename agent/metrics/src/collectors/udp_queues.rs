//! What waits in the queues of all UDP sockets together.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;
use crate::words::hexadecimal;

pub(super) const DEFINITION: Definition = Definition {
    name: "udp_queues",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILES: [(&str, &str); 2] = [("net/udp", "v4"), ("net/udp6", "v6")];

/// A line may have more of them, and none has less.
const COLUMNS: usize = 10;
const QUEUES: usize = 4;

/// Bytes of a line.
const LONGEST: usize = 256;

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let mut found = false;
    for (file, version) in FILES {
        let text = match roots.proc_lines(file, LONGEST) {
            Err(error) if error.is_missing() => continue,
            text => text?,
        };
        found = true;
        let (sent, received) = queued(file, &text)?;
        out.gauge(
            "node_udp_queues",
            "Number of allocated memory in the kernel for UDP datagrams in bytes.",
        )
        .add(&[("queue", "tx"), ("ip", version)], sent)
        .add(&[("queue", "rx"), ("ip", version)], received);
    }
    if found {
        Ok(())
    } else {
        Err(CollectError::NoData)
    }
}

/// Bytes to be sent and bytes to be read, summed over the sockets.
fn queued(file: &str, text: &str) -> Result<(u64, u64), CollectError> {
    let (mut sent, mut received) = (0_u64, 0_u64);
    for line in text.lines().skip(1) {
        let mut words = line.split_ascii_whitespace();
        let queues = words.nth(QUEUES).and_then(|word| word.split_once(':'));
        let (Some((to_send, to_read)), Some(_)) = (queues, words.nth(COLUMNS - QUEUES - 2)) else {
            return Err(CollectError::malformed(file, line));
        };
        sent = sent.wrapping_add(hexadecimal(file, Some(to_send))?);
        received = received.wrapping_add(hexadecimal(file, Some(to_read))?);
    }
    Ok((sent, received))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue and so on\n";

    #[test]
    fn queues_are_summed_over_sockets() {
        let line = "  9: 0100007F:0035 00000000:0000 07 0000000A:00000100 00:00000000 00000000     0        0 7 2 x 0\n";
        let machine = Machine::new(&[
            ("proc/net/udp", &format!("{HEAD}{line}{line}")),
            ("proc/net/udp6", HEAD),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains(
                "\nnode_udp_queues{queue=\"tx\",ip=\"v4\"} 20\nnode_udp_queues{queue=\"rx\",ip=\"v4\"} 512\nnode_udp_queues{queue=\"tx\",ip=\"v6\"} 0\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn without_files_there_is_nothing_and_short_lines_are_failures() {
        let nothing = collected(&DEFINITION, &Machine::new(&[]));
        assert!(matches!(nothing, Err(CollectError::NoData)));
        for odd in [
            "9: 0100007F:0035 00000000:0000 07 0000000A:00000100 00:00000000\n",
            "9: a:1 b:2 07 0000000A 0 0 0 0 7\n",
            "9: a:1 b:2 07 0A:x 0 0 0 0 7\n",
        ] {
            let machine = Machine::new(&[("proc/net/udp", &format!("{HEAD}{odd}"))]);
            let odd = collected(&DEFINITION, &machine);
            assert!(matches!(odd, Err(CollectError::Malformed { .. })));
        }
    }
}

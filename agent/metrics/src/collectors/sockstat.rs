//! Sockets in use, by protocol, and the memory that they take.

use brine_exposition::{Exposition, Kind};
use nix::unistd::{SysconfVar, sysconf};

use crate::collector::{CollectError, Collector, Definition};
use crate::remembered::{Remembered, Title};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "sockstat",
    enabled: true,
    options: &[],
    new: |_| {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        Ok(Box::new(Sockstat {
            page: page.unwrap_or(4096),
            titles: Remembered::default(),
        }))
    },
};

/// The second one is of IPv6, and has no line for all sockets.
const FILES: [&str; 2] = ["net/sockstat", "net/sockstat6"];

/// Other keys are not told.
const KEYS: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

struct Sockstat {
    /// The kernel counts memory in pages of so many bytes.
    page: i64,
    /// By protocol and key.
    titles: Remembered<Title>,
}

struct Protocol<'a> {
    name: &'a str,
    values: Vec<(&'a str, i64)>,
}

impl Protocol<'_> {
    fn value(&self, key: &str) -> Option<i64> {
        let found = self.values.iter().rev().find(|(known, _)| *known == key);
        found.map(|(_, value)| *value)
    }
}

impl Collector for Sockstat {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let texts = [text(roots, FILES[0])?, text(roots, FILES[1])?];
        let protocols = [
            protocols(FILES[0], &texts[0])?,
            protocols(FILES[1], &texts[1])?,
        ];
        let mut titles = self.titles.recall();
        let mut words = String::new();
        let mut tell = |protocol: &str, key: &str, value: i64, out: &mut Exposition| {
            words.clear();
            words.extend([protocol, "_", key]);
            let Title { name, help } = titles.of(&words, |words| {
                let help = format!("Number of {protocol} sockets in state {key}.");
                Title::new(format!("node_sockstat_{words}"), help)
            });
            if let Some(mut samples) = out.new_family(name.clone(), Kind::Gauge, help.clone()) {
                samples.add(&[], value);
            }
        };
        for protocol in protocols.iter().flatten() {
            if protocol.name == "sockets" {
                if let Some(used) = protocol.value("used") {
                    out.gauge(
                        "node_sockstat_sockets_used",
                        "Number of IPv4 sockets in use.",
                    )
                    .add(&[], used);
                }
                continue;
            }
            for key in KEYS {
                match protocol.value(key) {
                    Some(value) => tell(protocol.name, key, value, out),
                    None if key == "inuse" => tell(protocol.name, key, 0, out),
                    None => {}
                }
            }
            if let Some(pages) = protocol.value("mem") {
                let bytes = pages.saturating_mul(self.page);
                tell(protocol.name, "mem_bytes", bytes, out);
            }
        }
        Ok(())
    }
}

/// The machine may be without this version of the protocol.
fn text(roots: &Roots, file: &str) -> Result<String, CollectError> {
    match roots.proc(file) {
        Err(error) if error.is_missing() => Ok(String::new()),
        text => Ok(text?),
    }
}

fn protocols<'a>(file: &str, text: &'a str) -> Result<Vec<Protocol<'a>>, CollectError> {
    let mut protocols = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let name = name.strip_suffix(':').unwrap_or(name);
        let mut values = Vec::new();
        while let Some(key) = words.next() {
            values.push((key, number(file, words.next())?));
        }
        if values.is_empty() {
            return Err(CollectError::malformed(file, line));
        }
        protocols.push(Protocol { name, values });
    }
    Ok(protocols)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn protocols_of_both_versions() {
        let machine = Machine::new(&[
            (
                "proc/net/sockstat",
                "sockets: used 90\nTCP: inuse 5 orphan 1 tw 2 alloc 9 mem 3\nFRAG: inuse 0 memory 7\n",
            ),
            ("proc/net/sockstat6", "TCP6: inuse 4 odd 3\n"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_sockstat_sockets_used 90\n"), "{text}");
        assert!(
            text.contains(
                "# HELP node_sockstat_TCP_tw Number of TCP sockets in state tw.\n# TYPE node_sockstat_TCP_tw gauge\nnode_sockstat_TCP_tw 2\n"
            ),
            "{text}"
        );
        assert!(text.contains("\nnode_sockstat_TCP_mem 3\n"), "{text}");
        assert!(text.contains("\nnode_sockstat_TCP_mem_bytes "), "{text}");
        assert!(text.contains("\nnode_sockstat_FRAG_memory 7\n"), "{text}");
        assert!(text.contains("\nnode_sockstat_TCP6_inuse 4\n"), "{text}");
        assert!(!text.contains("odd"), "{text}");
    }

    #[test]
    fn without_a_version_there_is_less_and_odd_lines_are_failures() {
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
        for odd in ["TCP:\n", "TCP: inuse\n", "TCP: inuse x\n"] {
            let machine = Machine::new(&[("proc/net/sockstat", odd)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{odd}");
        }
    }
}

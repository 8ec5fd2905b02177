//! Counters of the network protocols: two files with a line of names over a line of values, and one for IPv6 with a
//! name and a value on each line.

use brine_exposition::{Exposition, Kind};
use regex_lite::Regex;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::pattern::compile;
use crate::remembered::{Recall, Remembered, Title};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "netstat",
    enabled: true,
    options: &[Opt {
        name: "fields",
        help: "Regexp of fields to return for netstat collector.",
        default: Value::Text(
            "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
        ),
    }],
    new: |options| {
        Ok(Box::new(Netstat {
            fields: compile(options, "fields", options.text("fields"))?,
            heads: Remembered::default(),
            titles: Remembered::default(),
        }))
    },
};

const FILES: [&str; 2] = ["net/netstat", "net/snmp"];
const FILE_6: &str = "net/snmp6";

struct Netstat {
    fields: Option<Regex>,
    /// What of a line of names is wanted.
    heads: Remembered<Head>,
    /// By key in the file of IPv6; none for those that are not wanted.
    titles: Remembered<Option<Title>>,
}

/// A line of names.
struct Head {
    /// None for a line without a protocol's name.
    protocol: Option<Box<str>>,
    count: usize,
    /// In which column.
    wanted: Vec<(usize, Title)>,
}

/// Families with their values.
type Found<'a> = Vec<(Title, &'a str)>;

impl Collector for Netstat {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let texts = [roots.proc(FILES[0])?, roots.proc(FILES[1])?];
        // Without IPv6 there is no such file.
        let text_6 = match roots.proc(FILE_6) {
            Err(error) if error.is_missing() => String::new(),
            text => text?,
        };
        let mut found = Vec::with_capacity(64);
        let mut heads = self.heads.recall();
        for (file, text) in FILES.into_iter().zip(&texts) {
            self.pairs_of_lines(file, text, &mut heads, &mut found)?;
        }
        let mut titles = self.titles.recall();
        for line in text_6.lines() {
            let mut words = line.split_ascii_whitespace();
            if let (Some(key), Some(value)) = (words.next(), words.next())
                && let Some(title) = titles.of(key, |key| self.title_6(key))
            {
                found.push((title.clone(), value));
            }
        }
        for (Title { name, help }, value) in found {
            // Most are unsigned and some are signed: as a sample they are floats all the same.
            let value: f64 = number(FILES[0], Some(value))?;
            if let Some(mut samples) = out.new_family(name, Kind::Untyped, help) {
                samples.add(&[], value);
            }
        }
        Ok(())
    }
}

impl Netstat {
    fn pairs_of_lines<'a>(
        &self,
        file: &str,
        text: &'a str,
        heads: &mut Recall<'_, Head>,
        found: &mut Found<'a>,
    ) -> Result<(), CollectError> {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let head = heads.of(line, |line| self.head(line));
            let Some(protocol) = &head.protocol else {
                return Err(CollectError::malformed(file, line));
            };
            let values = lines.next().unwrap_or_default();
            let mut wanted = head.wanted.iter().peekable();
            let mut count = 0;
            // The line begins with the protocol's name again.
            for (column, value) in values.split(' ').skip(1).enumerate() {
                if let Some((_, title)) = wanted.next_if(|(wanted, _)| *wanted == column) {
                    found.push((title.clone(), value));
                }
                count = column + 1;
            }
            if count != head.count {
                let what = format!("{protocol} is uneven");
                return Err(CollectError::malformed(file, what));
            }
        }
        Ok(())
    }

    fn head(&self, line: &str) -> Head {
        let mut names = line.split(' ');
        let protocol = names.next().and_then(|word| word.strip_suffix(':'));
        let names: Vec<&str> = names.collect();
        let wanted = names.iter().enumerate().filter_map(|(column, name)| {
            let title = self.title(protocol.unwrap_or_default(), name)?;
            Some((column, title))
        });
        Head {
            protocol: protocol.map(Box::from),
            count: names.len(),
            wanted: wanted.collect(),
        }
    }

    /// The protocol's name ends with the first 6; lines without one are of no protocol.
    fn title_6(&self, key: &str) -> Option<Title> {
        let (protocol, name) = key.split_at(key.find('6')? + 1);
        self.title(protocol, name)
    }

    fn title(&self, protocol: &str, name: &str) -> Option<Title> {
        let key = format!("{protocol}_{name}");
        let fields = self.fields.as_ref();
        let is_wanted = fields.is_none_or(|fields| fields.is_match(&key));
        is_wanted.then(|| {
            let help = format!("Statistic {protocol}{name}.");
            Title::new(format!("node_netstat_{key}"), help)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    const NETSTAT: &str =
        "TcpExt: ListenDrops TCPPureAcks\nTcpExt: 4 5\nIpExt: InOctets\nIpExt: 6000000\n";
    const SNMP: &str = "Tcp: MaxConn InSegs\nTcp: -1 12\n";

    #[test]
    fn three_files_make_one_family_for_each_chosen_field() {
        let machine = Machine::new(&[
            ("proc/net/netstat", NETSTAT),
            ("proc/net/snmp", SNMP),
            (
                "proc/net/snmp6",
                "Ip6InOctets   \t9\nUdp6InErrors 3\nOther 5\n",
            ),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains(
                "# HELP node_netstat_TcpExt_ListenDrops Statistic TcpExtListenDrops.\n# TYPE node_netstat_TcpExt_ListenDrops untyped\nnode_netstat_TcpExt_ListenDrops 4\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("\nnode_netstat_IpExt_InOctets 6e+06\n"),
            "{text}"
        );
        assert!(text.contains("\nnode_netstat_Ip6_InOctets 9\n"), "{text}");
        assert!(text.contains("\nnode_netstat_Udp6_InErrors 3\n"), "{text}");
        assert!(!text.contains("PureAcks"), "{text}");
        let text = collected_with(&DEFINITION, &[("fields", "^Tcp_")], &machine).unwrap();
        assert!(text.contains("\nnode_netstat_Tcp_MaxConn -1\n"), "{text}");
    }

    #[test]
    fn only_the_file_of_ipv6_may_be_missing() {
        let files = [("proc/net/netstat", NETSTAT), ("proc/net/snmp", SNMP)];
        assert!(collected(&DEFINITION, &Machine::new(&files)).is_ok());
        assert!(collected(&DEFINITION, &Machine::new(&files[..1])).is_err());
        for odd in ["Tcp: InSegs\n", "Tcp: InSegs\nTcp: 1 2\n", "\n\n", "Tcp\n"] {
            let machine = Machine::new(&[files[0], ("proc/net/snmp", odd)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{odd}");
        }
    }
}

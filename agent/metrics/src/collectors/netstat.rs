//! Counters of the network protocols: two files with a line of names over a line of values, and one for IPv6 with a
//! name and a value on each line.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::pattern::{Remembered, compile};
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
        let fields = compile(options, "fields", options.text("fields"))?;
        Ok(Box::new(Netstat {
            fields: Remembered::new(fields),
        }))
    },
};

const FILES: [&str; 2] = ["net/netstat", "net/snmp"];
const FILE_6: &str = "net/snmp6";

struct Netstat {
    fields: Remembered,
}

/// Protocol, name, value.
type Field<'a> = (&'a str, &'a str, &'a str);

impl Collector for Netstat {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let texts = [roots.proc(FILES[0])?, roots.proc(FILES[1])?];
        // Without IPv6 there is no such file.
        let text_6 = match roots.proc(FILE_6) {
            Err(error) if error.is_missing() => String::new(),
            text => text?,
        };
        let mut fields = Vec::new();
        for (file, text) in FILES.into_iter().zip(&texts) {
            pairs_of_lines(file, text, &mut fields)?;
        }
        fields.extend(text_6.lines().filter_map(field_6));
        let mut key = String::new();
        self.fields.ask(|wants| {
            fields.retain(|(protocol, name, _)| {
                key.clear();
                key.extend([*protocol, "_", *name]);
                wants(&key)
            });
        });
        for (protocol, name, value) in fields {
            // Most are unsigned and some are signed: as a sample they are floats all the same.
            let value: f64 = number(FILES[0], Some(value))?;
            let family = format!("node_netstat_{protocol}_{name}");
            if !out.has(&family) {
                out.untyped(family, format!("Statistic {protocol}{name}."))
                    .add(&[], value);
            }
        }
        Ok(())
    }
}

fn pairs_of_lines<'a>(
    file: &str,
    text: &'a str,
    fields: &mut Vec<Field<'a>>,
) -> Result<(), CollectError> {
    let mut lines = text.lines();
    while let Some(head) = lines.next() {
        let values = lines.next().unwrap_or_default();
        let mut names = head.split(' ');
        let mut values = values.split(' ');
        let (protocol, _) = (names.next().unwrap_or_default(), values.next());
        let Some(protocol) = protocol.strip_suffix(':') else {
            return Err(CollectError::malformed(file, head));
        };
        loop {
            match (names.next(), values.next()) {
                (Some(name), Some(value)) => fields.push((protocol, name, value)),
                (None, None) => break,
                _ => {
                    return Err(CollectError::malformed(
                        file,
                        format!("{protocol} is uneven"),
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The protocol's name ends with the first 6; lines without one are of no protocol.
fn field_6(line: &str) -> Option<Field<'_>> {
    let mut words = line.split_ascii_whitespace();
    let (key, value) = (words.next()?, words.next()?);
    let (protocol, name) = key.split_at(key.find('6')? + 1);
    Some((protocol, name, value))
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

//! The kernel's load balancer: its traffic, and the state of what it balances over.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::options::{Invalid, Options};
use crate::roots::Roots;
use crate::words::{hexadecimal, number};

pub(super) const DEFINITION: Definition = Definition {
    name: "ipvs",
    enabled: true,
    options: &[Opt {
        name: LABELS_OPTION,
        help: "Comma separated list for IPVS backend stats labels.",
        default: Value::Text(
            "local_address,local_port,remote_address,remote_port,proto,local_mark",
        ),
    }],
    new: |options| Ok(Box::new(Ipvs::new(options)?)),
};

const LABELS_OPTION: &str = "backend-labels";

const LABELS: [&str; 6] = [
    "local_address",
    "local_port",
    "remote_address",
    "remote_port",
    "proto",
    "local_mark",
];

const STATISTICS: &str = "net/ip_vs_stats";
const TABLE: &str = "net/ip_vs";

/// In the order of the columns.
const TOTALS: [(&str, &str); 5] = [
    (
        "node_ipvs_connections_total",
        "The total number of connections made.",
    ),
    (
        "node_ipvs_incoming_packets_total",
        "The total number of incoming packets.",
    ),
    (
        "node_ipvs_outgoing_packets_total",
        "The total number of outgoing packets.",
    ),
    (
        "node_ipvs_incoming_bytes_total",
        "The total amount of incoming data.",
    ),
    (
        "node_ipvs_outgoing_bytes_total",
        "The total amount of outgoing data.",
    ),
];

/// In the order of the columns behind the way of forwarding.
const STATES: [(&str, &str); 3] = [
    (
        "node_ipvs_backend_weight",
        "The current backend weight by local and remote address.",
    ),
    (
        "node_ipvs_backend_connections_active",
        "The current active connections by local and remote address.",
    ),
    (
        "node_ipvs_backend_connections_inactive",
        "The current inactive connections by local and remote address.",
    ),
];

struct Ipvs {
    /// Places in `LABELS`.
    labels: Vec<usize>,
}

/// By label values: where labels are left out, several backends are one.
type Backends = BTreeMap<Vec<String>, [u64; STATES.len()]>;

impl Ipvs {
    fn new(options: &Options) -> Result<Self, Invalid> {
        let named = options.text(LABELS_OPTION).split(',');
        let named: Vec<&str> = named.filter(|name| !name.is_empty()).collect();
        if let Some(unknown) = named.iter().find(|name| !LABELS.contains(name)) {
            let why = format!("there is no label \"{unknown}\"");
            return Err(options.invalid(LABELS_OPTION, why));
        }
        let places = 0..LABELS.len();
        let labels = places.filter(|place| named.contains(&LABELS[*place]));
        Ok(Self {
            labels: labels.collect(),
        })
    }

    fn backends(&self, text: &str) -> Result<Backends, CollectError> {
        let mut backends = Backends::new();
        let mut service = Service::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                [_, "RemoteAddress:Port", ..] => {}
                [protocol @ ("TCP" | "UDP"), place, ..] => {
                    let (address, port) = address_and_port(place)?;
                    service = Service {
                        protocol: protocol.to_owned(),
                        address: address.to_string(),
                        port,
                        mark: String::new(),
                    };
                }
                ["FWM", mark, ..] => {
                    service = Service {
                        protocol: "FWM".to_owned(),
                        mark: mark.to_owned(),
                        ..Service::default()
                    };
                }
                ["->", place, _, weight, active, inactive, ..] => {
                    let (address, port) = address_and_port(place)?;
                    let values = service.values(address, port);
                    let key = self.labels.iter().map(|place| values[*place].clone());
                    let sums = backends.entry(key.collect()).or_default();
                    for (sum, word) in sums.iter_mut().zip([weight, active, inactive]) {
                        *sum = number::<u64>(TABLE, Some(word))?.wrapping_add(*sum);
                    }
                }
                _ => {}
            }
        }
        Ok(backends)
    }
}

impl Collector for Ipvs {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let text = roots.proc(STATISTICS).map_err(CollectError::without_file)?;
        for ((name, help), total) in TOTALS.into_iter().zip(totals(&text)?) {
            out.counter(name, help).add(&[], total);
        }
        let backends = self.backends(&roots.proc(TABLE)?)?;
        for (state, (name, help)) in STATES.into_iter().enumerate() {
            let mut family = out.gauge(name, help);
            for (values, sums) in &backends {
                let labels = self.labels.iter().map(|place| LABELS[*place]);
                let labels: Vec<_> = labels.zip(values.iter().map(String::as_str)).collect();
                family.add(&labels, sums[state]);
            }
        }
        Ok(())
    }
}

/// The third line, under two lines of names.
fn totals(text: &str) -> Result<[u64; TOTALS.len()], CollectError> {
    let malformed = || CollectError::malformed(STATISTICS, "it has no line of five totals");
    let mut lines = text.split('\n');
    let (Some(line), Some(_)) = (lines.nth(2), lines.next()) else {
        return Err(malformed());
    };
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if words.len() != TOTALS.len() {
        return Err(malformed());
    }
    let mut totals = [0; TOTALS.len()];
    for (total, word) in totals.iter_mut().zip(words) {
        *total = hexadecimal(STATISTICS, Some(word))?;
    }
    Ok(totals)
}

/// What the lines of backends below it belong to.
#[derive(Default)]
struct Service {
    protocol: String,
    address: String,
    port: u16,
    mark: String,
}

impl Service {
    /// In the order of `LABELS`.
    fn values(&self, remote: IpAddr, port: u16) -> [String; LABELS.len()] {
        [
            self.address.clone(),
            self.port.to_string(),
            remote.to_string(),
            port.to_string(),
            self.protocol.clone(),
            self.mark.clone(),
        ]
    }
}

/// `0A000001:0050`, or an address of IPv6 in brackets, with all of its digits.
fn address_and_port(word: &str) -> Result<(IpAddr, u16), CollectError> {
    let parsed = || {
        let (address, port) = word.rsplit_once(':')?;
        let port = (port.len() == 4).then_some(port)?;
        let port = u16::from_str_radix(port, 16).ok()?;
        if address.len() == 8 {
            let address = u32::from_str_radix(address, 16).ok()?;
            return Some((Ipv4Addr::from(address).into(), port));
        }
        let address = address.strip_prefix('[')?.strip_suffix(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        Some((address.to_canonical(), port))
    };
    parsed().ok_or_else(|| CollectError::malformed(TABLE, word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    const TOTALS_TEXT: &str = "   Total Incoming Outgoing\n   Conns  Packets\n      1F       A        0              100                0\n\n";
    const TABLE_TEXT: &str = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A000001:0050 rr
  -> 0A000102:1F90      Masq    1      20         3
  -> 0A000103:1F90      Masq    2      30         4
UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 rr
  -> [2001:0db8:0000:0000:0000:0000:0000:0002]:0035      Masq    5      6         7
FWM  00000007 rr
  -> 0A000102:1F90      Masq    9      8         7
";

    fn machine(table: &str) -> Machine {
        Machine::new(&[
            ("proc/net/ip_vs_stats", TOTALS_TEXT),
            ("proc/net/ip_vs", table),
        ])
    }

    #[test]
    fn totals_and_backends() {
        let text = collected(&DEFINITION, &machine(TABLE_TEXT)).unwrap();
        assert!(
            text.contains("\nnode_ipvs_connections_total 31\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_ipvs_backend_weight{local_address=\"10.0.0.1\",local_port=\"80\",remote_address=\"10.0.1.3\",remote_port=\"8080\",proto=\"TCP\",local_mark=\"\"} 2\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_ipvs_backend_connections_active{local_address=\"2001:db8::1\",local_port=\"53\",remote_address=\"2001:db8::2\",remote_port=\"53\",proto=\"UDP\",local_mark=\"\"} 6\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_ipvs_backend_connections_inactive{local_address=\"\",local_port=\"0\",remote_address=\"10.0.1.2\",remote_port=\"8080\",proto=\"FWM\",local_mark=\"00000007\"} 7\n"),
            "{text}"
        );
    }

    #[test]
    fn backends_with_the_same_labels_are_summed() {
        let machine = machine(TABLE_TEXT);
        let given = [("backend-labels", "proto,local_port")];
        let text = collected_with(&DEFINITION, &given, &machine).unwrap();
        assert!(
            text.contains("\nnode_ipvs_backend_weight{local_port=\"80\",proto=\"TCP\"} 3\n"),
            "{text}"
        );
        let text = collected_with(&DEFINITION, &[("backend-labels", "")], &machine).unwrap();
        assert!(text.contains("\nnode_ipvs_backend_weight 17\n"), "{text}");
        let mut options = Options::of(&DEFINITION);
        options.set("backend-labels", "proto,colour");
        assert!((DEFINITION.new)(&options).is_err());
    }

    #[test]
    fn without_the_module_there_is_nothing_and_odd_lines_are_failures() {
        let nothing = collected(&DEFINITION, &Machine::new(&[]));
        assert!(matches!(nothing, Err(CollectError::NoData)));
        for odd in [
            "TCP  0A000001 rr\n",
            "TCP  [2001:db8::x]:0050 rr\n",
            "  -> 0A000102:1F90 Masq x 1 1\n",
        ] {
            let odd = collected(&DEFINITION, &machine(odd));
            assert!(matches!(odd, Err(CollectError::Malformed { .. })));
        }
        let short = Machine::new(&[("proc/net/ip_vs_stats", "a\nb\n1 2 3 4 5")]);
        assert!(collected(&DEFINITION, &short).is_err());
    }
}

//! Sockets that wait for others, with who has them: what `ss -ltunp` says.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Cell, Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "listening",
    doc: "A socket that others can reach: TCP that listens, UDP that is bound.",
    columns: &[
        column("protocol", "tcp, udp"),
        column("address", "0.0.0.0 and :: mean all of the machine's"),
        column("port", "its number"),
        column(
            "process",
            "the name of a program that has it; null where that is hidden",
        ),
        column("user_id", "whose socket it is"),
    ],
    key: 4,
    asked: &[],
    times: &[],
    fleeting: &[],
    collect,
};

/// A listening TCP socket (`TCP_LISTEN` of the kernel's tcp_states.h), a UDP socket without a peer
/// (`TCP_CLOSE`).
const KINDS: [(&str, &str, &str); 4] = [
    ("tcp", "/proc/net/tcp", "0A"),
    ("tcp", "/proc/net/tcp6", "0A"),
    ("udp", "/proc/net/udp", "07"),
    ("udp", "/proc/net/udp6", "07"),
];

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let holders = holders(machine);
    let mut rows = Vec::new();
    for (protocol, path, state) in KINDS {
        // Without IPv6 there is no table of it.
        let Ok(text) = machine.text(path) else {
            continue;
        };
        let sockets = text.lines().skip(1).filter_map(|line| socket(line, state));
        for socket in sockets {
            let head = [
                Cell::from(protocol),
                socket.address.to_string().into(),
                i64::from(socket.port).into(),
            ];
            let names = holders.get(&socket.inode);
            let names: Vec<Cell> = match names {
                Some(names) => names.iter().map(|name| name.as_str().into()).collect(),
                None => vec![Cell::Null],
            };
            rows.extend(names.into_iter().map(|name| {
                let mut row = head.to_vec();
                row.extend([name, socket.user.into()]);
                row
            }));
        }
    }
    Ok(rows)
}

struct Socket {
    address: IpAddr,
    port: u16,
    user: i64,
    inode: u64,
}

/// A line of /proc/net/tcp and its like (proc(5)).
fn socket(line: &str, wanted: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, _, state, _, _, _, user, _, inode, ..] = fields.as_slice() else {
        return None;
    };
    if *state != wanted {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(Socket {
        address: address_of(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        user: user.parse().ok()?,
        inode: inode.parse().ok()?,
    })
}

/// The kernel prints each four bytes as one number, in the machine's own order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (part, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(part * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// The names of the programs that have a socket, by its inode.
fn holders(machine: &dyn Machine) -> BTreeMap<u64, Vec<String>> {
    let mut holders: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let processes = machine.list("/proc").into_iter().map(|(name, _)| name);
    for process in processes.filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
        let mut name = None;
        for (descriptor, _) in machine.list(&format!("/proc/{process}/fd")) {
            let Some(target) = machine.link(&format!("/proc/{process}/fd/{descriptor}")) else {
                continue;
            };
            let inode = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
                .and_then(|inode| inode.parse().ok());
            let Some(inode) = inode else { continue };
            let name = name.get_or_insert_with(|| {
                let name = machine.text(&format!("/proc/{process}/comm"));
                name.unwrap_or_default().trim_end().to_owned()
            });
            let names = holders.entry(inode).or_default();
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    holders
}

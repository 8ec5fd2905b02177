//! `virtual_address`: an address that moves between the members of a role.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::declare::{Declaration, Place};
use crate::deserialize::Error;
use crate::host::{Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, ResourceId, Subject};
use crate::value::{Map, Value};

/// `virtual_address: 10.0.0.100/24`. Whoever moves it sets it (keepalived); this only tells where it
/// is, and a plan never changes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {}

struct VirtualAddress {
    id: ResourceId,
    address: IpAddr,
}

impl Declaration for Fields {
    const NAME: &'static str = "virtual_address";
    const DOC: &'static str =
        "An address that moves between members: watched here, set by what moves it.";
    const LIVE: &'static [&'static str] = &["held"];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let text = place.id.name();
        let wrong = || {
            let message = format!("`{text}` is not an address with the length of its network");
            Error::new(place.fields.span, message).with_help("10.0.0.100/24")
        };
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let fits = length.parse::<u8>().is_ok_and(|length| length <= most);
        if !fits {
            return Err(wrong());
        }
        Ok(Box::new(VirtualAddress {
            id: place.id.clone(),
            address,
        }))
    }
}

impl VirtualAddress {
    /// As the kernel lists them, so that to ask forks nothing. Process 1 is in the machine's own network,
    /// and the way to its files goes through no symbolic link.
    fn is_held(&self, host: &dyn ReadHost) -> HostResult<bool> {
        Ok(match self.address {
            IpAddr::V4(address) => in_fib_trie(&text(host, "/proc/1/net/fib_trie")?, address),
            IpAddr::V6(address) => in_if_inet6(&text(host, "/proc/1/net/if_inet6")?, address),
        })
    }
}

fn text(host: &dyn ReadHost, path: &str) -> HostResult<String> {
    let failed = |why: &str| HostError::failed("list the addresses", format!("{path}: {why}"));
    let path = AbsolutePath::try_from(path.to_owned()).map_err(|_| failed("no path"))?;
    let bytes = host.read(&path)?.ok_or_else(|| failed("not there"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `|-- 10.0.0.1`, and below it `/32 host LOCAL` where it is one of this machine's.
fn in_fib_trie(text: &str, address: Ipv4Addr) -> bool {
    let mut leaf = None;
    text.lines().map(str::trim).any(|line| {
        if let Some(found) = line.strip_prefix("|-- ") {
            leaf = found.parse::<Ipv4Addr>().ok();
        }
        line == "/32 host LOCAL" && leaf == Some(address)
    })
}

/// 32 hexadecimal digits begin each line.
fn in_if_inet6(text: &str, address: Ipv6Addr) -> bool {
    let digits = |line: &str| u128::from_str_radix(line.get(..32)?, 16).ok();
    text.lines()
        .any(|line| digits(line) == Some(u128::from(address)))
}

impl Resource for VirtualAddress {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn plan(&self, _: &dyn ReadHost) -> HostResult<Vec<Change>> {
        Ok(Vec::new())
    }

    fn intent(&self) -> Vec<Change> {
        Vec::new()
    }

    fn apply(&self, _: &[Change], _: &mut dyn Host) -> HostResult<()> {
        Ok(())
    }

    fn live(&self, host: &dyn ReadHost) -> HostResult<Map> {
        let held = Value::Bool(self.is_held(host)?);
        Ok(Map::from([("held".to_owned(), held)]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::converge::fake::{FakeHost, Scene, check_settles};
    use crate::live::LiveFacts;

    fn scene(address: &str) -> Scene {
        Scene::new(&[(&format!("virtual_address:{address}"), json!({}))])
    }

    fn held(address: &str, files: &[(&str, &str)]) -> String {
        let mut host = FakeHost::new();
        for (path, text) in files {
            host.put(path, text);
        }
        check_settles(&scene(address), &mut host);
        let told = LiveFacts::ask(&scene(address).catalog.resources, &host);
        match told.holds("test.held").expect("a condition") {
            Some(held) => held.to_string(),
            None => told.failures.join("; "),
        }
    }

    #[test]
    fn where_it_is() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    +-- 10.77.0.0/24 2 0 2\n        |-- 10.77.0.0\n           /24 link UNICAST\n        \
                    |-- 10.77.0.100\n           /32 host LOCAL\n        |-- 10.77.0.255\n           \
                    /32 link BROADCAST\n";
        let inet6 = "fe80000000000000004200fffe000001 02 40 20 80     eth0\n";
        let files = [
            ("/proc/1/net/fib_trie", trie),
            ("/proc/1/net/if_inet6", inet6),
        ];
        assert_eq!(held("10.77.0.100/24", &files), "true");
        assert_eq!(held("10.77.0.10/24", &files), "false");
        assert_eq!(held("10.77.0.255/24", &files), "false");
        assert_eq!(held("fe80::42:ff:fe00:1/64", &files), "true");
        assert_eq!(held("fe80::42:ff:fe00:2/64", &files), "false");
        let told = held("10.77.0.100/24", &[]);
        assert!(
            told.contains("cannot list the addresses: /proc/1/net/fib_trie: not there"),
            "{told}"
        );
    }

    #[test]
    fn what_makes_no_sense() {
        for address in ["10.77.0.100", "10.77.0/24", "10.77.0.1/33", "front/24"] {
            assert!(scene(address).try_prepare().is_err(), "{address}");
        }
    }
}

//! `virtual_address`: an address that moves between the members of a role.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::declare::{Declaration, Place};
use crate::deserialize::Error;
use crate::host::{Host, HostError, HostResult, Program, ReadHost};
use crate::resource::{Change, Resource, ResourceId, Subject};
use crate::value::{Map, Value};

const LIMIT: Duration = Duration::from_secs(5);

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
    fn is_held(&self, host: &dyn ReadHost) -> HostResult<bool> {
        let argv = ["ip", "-json", "address", "show"].map(str::to_owned);
        let output = host.observe(&Program {
            argv: argv.to_vec(),
            environment: BTreeMap::new(),
            directory: None,
            user: None,
            timeout: LIMIT,
        })?;
        let unclear = |why: String| HostError::failed("list the addresses", why);
        if output.code != 0 {
            return Err(unclear(output.stderr.trim().to_owned()));
        }
        let links: Json =
            serde_json::from_str(&output.stdout).map_err(|error| unclear(error.to_string()))?;
        let links = links.as_array().into_iter().flatten();
        let mut addresses =
            links.flat_map(|link| link["addr_info"].as_array().into_iter().flatten());
        Ok(addresses.any(|info| {
            let local = info["local"].as_str().and_then(|text| text.parse().ok());
            local == Some(self.address)
        }))
    }
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

    use crate::converge::fake::{FakeHost, Scene, check_settles, exit};
    use crate::host::ProgramOutput;
    use crate::live::LiveFacts;

    fn scene(address: &str) -> Scene {
        Scene::new(&[(&format!("virtual_address:{address}"), json!({}))])
    }

    fn held(address: &str, said: ProgramOutput) -> String {
        let mut host = FakeHost::new();
        host.program("ip", move |_, _| said.clone());
        check_settles(&scene(address), &mut host);
        let told = LiveFacts::ask(&scene(address).catalog.resources, &host);
        match told.holds("test.held").expect("a condition") {
            Some(held) => held.to_string(),
            None => told.failures.join("; "),
        }
    }

    #[test]
    fn where_it_is() {
        let said = || ProgramOutput {
            stdout: r#"[{"ifname":"lo","addr_info":[{"local":"127.0.0.1"}]},{"ifname":"host0",
                "addr_info":[{"local":"10.77.0.11","prefixlen":24},{"local":"10.77.0.100"}]},
                {"ifname":"bare"}]"#
                .to_owned(),
            ..exit(0)
        };
        assert_eq!(held("10.77.0.100/24", said()), "true");
        assert_eq!(held("10.77.0.10/24", said()), "false");
        let broken = ProgramOutput {
            stderr: "no netlink".to_owned(),
            ..exit(1)
        };
        let told = held("10.77.0.100/24", broken);
        assert!(
            told.contains("cannot list the addresses: no netlink"),
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

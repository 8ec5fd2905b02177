use std::time::Duration;

use super::{authority, issued, node, now};
use crate::authority::{Authority, AuthorityError, Certificate, Subject};
use crate::identity::{Key, PublicKey, certificate_to_pem};
use crate::peer::Peer;
use crate::workload::examine;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn issue(
    authority: &Authority,
    key: &Key,
    names: &[String],
) -> Result<Certificate, AuthorityError> {
    let public = PublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
    authority.issue_workload(names, &public, now(), YEAR)
}

#[test]
fn a_certificate_is_judged_by_key_and_authority() {
    let (workloads, key) = (authority(), Key::generate().unwrap());
    let asked = names(&["db02", "10.0.0.2", "DB02", "2001:db8:0::2"]);
    let certificate = issue(&workloads, &key, &asked).unwrap();
    let pem = certificate_to_pem(&certificate.der);
    let check = |key: Option<&str>, authority: Option<&str>, consistent: bool| {
        let state = examine(&pem, key, authority).unwrap();
        assert_eq!(state.names, ["10.0.0.2", "2001:db8::2", "db02"]);
        assert_eq!(state.expires, certificate.expires);
        assert_eq!(state.consistent, consistent);
    };
    let (ours, theirs) = (key.to_pem(), Key::generate().unwrap().to_pem());
    let (signer, stranger) = (workloads.certificate_pem(), authority().certificate_pem());
    check(Some(&ours), Some(&signer), true);
    check(Some(&theirs), Some(&signer), false);
    check(Some(&ours), Some(&stranger), false);
    check(Some("half a k"), Some(&signer), false);
    check(None, Some(&signer), false);
    check(Some(&ours), None, false);
    // Its own authority it is not.
    check(Some(&ours), Some(&pem), false);
    assert_eq!(examine("-----BEGIN", Some(&ours), Some(&signer)), None);
}

#[test]
fn neither_kind_passes_for_the_other() {
    let (nodes, workloads) = (authority(), authority());
    let key = Key::generate().unwrap();
    // Even from one authority: the usages differ.
    let workload = issue(&nodes, &key, &names(&["db02"])).unwrap();
    assert!(Peer::of(&workload.der).is_err());
    let (der, key) = issued(&nodes, &node("db02"), now());
    let state = examine(
        &certificate_to_pem(&der),
        Some(&key.to_pem()),
        Some(&workloads.certificate_pem()),
    );
    assert!(!state.unwrap().consistent);
    let (der, _) = issued(&nodes, &Subject::Server, now());
    assert!(Peer::of(&der).is_err());
}

#[test]
fn only_real_names() {
    let (workloads, key) = (authority(), Key::generate().unwrap());
    for bad in [
        &[] as &[&str],
        &[""],
        &["db02", ""],
        &["*"],
        &["*.example.org"],
        &["a b"],
        &["a..b"],
        &["-a"],
        &["a_b"],
        &["é"],
        &["10.0.0.0/8"],
        &["brine:node:db01"],
        &[brine_wire::SERVER_NAME],
        &[&"a".repeat(64)],
    ] {
        let issued = issue(&workloads, &key, &names(bad));
        assert!(
            matches!(issued, Err(AuthorityError::WorkloadName(_))),
            "{bad:?}"
        );
    }
    let long = [["a"; 30].join("."), "b".repeat(63)].join(".");
    assert!(issue(&workloads, &key, &[long]).is_ok());
}

use brine_wire::policy::Principal;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::{authority, issued, node, now, operator};
use crate::authority::{Authority, AuthorityError, Subject};
use crate::certificate;
use crate::identity::{
    IdentityError, Key, MAX_CSR, PublicKey, certificate_from_pem, certificate_to_pem,
};
use crate::peer::Peer;

#[test]
fn text_and_back() {
    let authority = authority();
    let text = authority.certificate_pem();
    assert_eq!(
        certificate_from_pem(&text).unwrap(),
        authority.certificate_der()
    );
    assert_eq!(certificate_to_pem(authority.certificate_der()), text);
    assert!(certificate_from_pem(&format!("{text}{text}")).is_err());
    assert!(certificate_from_pem("").is_err());

    let loaded = Authority::load(&text, &authority.key_pem()).unwrap();
    let (der, key) = issued(&loaded, &node("db01"), now());
    assert_eq!(Key::from_pem(&key.to_pem()).unwrap().public(), key.public());
    assert_eq!(
        Peer::of(&der).unwrap().fingerprint,
        Some(key.public().fingerprint())
    );
    assert!(!format!("{key:?}").contains("PRIVATE"));

    let other = self::authority();
    let mixed = Authority::load(&text, &other.key_pem());
    assert_eq!(mixed.unwrap_err(), AuthorityError::Mismatch);
}

#[test]
fn a_certificate_says_who() {
    let authority = authority();
    let key = Key::generate().unwrap();
    let subject = node("db01");
    let issued = authority
        .issue(&subject, &key.public(), now(), subject.validity())
        .unwrap();
    let peer = Peer::of(&issued.der).unwrap();
    assert_eq!(peer.principal, Principal::Node("db01".parse().unwrap()));
    assert_eq!(peer.machine_id.as_deref(), Some("0a1b2c"));
    assert_eq!(peer.serial.as_deref(), Some(issued.serial.as_str()));
    assert_eq!(peer.expires, Some(issued.expires));
    assert_eq!(
        peer.fingerprint.as_deref(),
        Some(issued.fingerprint.as_str())
    );
    assert_eq!(
        issued.expires.since(now()).as_secs().div_ceil(24 * 60 * 60),
        365
    );
    assert_eq!(
        issued
            .fingerprint
            .split('-')
            .map(str::len)
            .collect::<Vec<_>>(),
        [4; 8]
    );

    let again = authority
        .issue(&subject, &key.public(), now(), subject.validity())
        .unwrap();
    assert_ne!(again.serial, issued.serial);

    let (der, _) = self::issued(&authority, &operator("admin"), now());
    let peer = Peer::of(&der).unwrap();
    assert_eq!(
        peer.principal,
        Principal::Operator("admin".parse().unwrap())
    );
    assert_eq!(peer.machine_id, None);
}

#[test]
fn neither_the_servers_nor_the_authoritys_certificate_is_a_peers() {
    let authority = authority();
    let (server, _) = issued(&authority, &Subject::Server, now());
    assert!(Peer::of(&server).is_err());
    assert!(Peer::of(authority.certificate_der()).is_err());
    let (mut node, _) = issued(&authority, &node("db01"), now());
    node.push(0);
    assert!(Peer::of(&node).is_err());
}

/// Certificates that we would not write, though an authority has signed them.
#[test]
fn unknown_and_second_names_are_refused() {
    let key = KeyPair::generate().unwrap();
    let read = |uris: &[&str]| {
        let mut params = CertificateParams::default();
        let uri = |uri: &&str| rcgen::SanType::URI((*uri).try_into().unwrap());
        params.subject_alt_names = uris.iter().map(uri).collect();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let der = params.self_signed(&key).unwrap();
        certificate::read(der.der()).ok().map(|peer| peer.principal)
    };
    assert!(read(&["brine:node:db01"]).is_some());
    for uris in [
        &["brine:node:db01", "brine:node:db02"] as &[&str],
        &["brine:node:db01", "brine:operator:admin"],
        &["brine:node:DB01"],
        &["brine:node:db01/../db02"],
        &["brine:node:"],
        &["brine:machine:0a"],
        &["brine:node:db01", "brine:machine:../x"],
        &["brine:node:db01", "http://x"],
        &[],
    ] {
        assert_eq!(read(uris), None, "{uris:?}");
    }
}

#[test]
fn machine_ids_are_plain() {
    let authority = authority();
    let key = Key::generate().unwrap().public();
    for bad in ["", "a b", "a/b", "é", &"a".repeat(129)] {
        let subject = Subject::Node {
            name: "db01".parse().unwrap(),
            machine_id: bad.to_owned(),
        };
        let issued = authority.issue(&subject, &key, now(), subject.validity());
        assert_eq!(issued.unwrap_err(), AuthorityError::MachineId, "{bad}");
    }
}

#[test]
fn a_requests_names_are_ignored_and_its_key_is_proved() {
    // A request for the server's own name, and to be an authority.
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![brine_wire::SERVER_NAME.to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let request = params.serialize_request(&pair).unwrap();
    let key = PublicKey::from_csr(request.der()).unwrap();
    let subject = node("db01");
    let issued = authority()
        .issue(&subject, &key, now(), subject.validity())
        .unwrap();
    assert_eq!(
        Peer::of(&issued.der).unwrap().principal,
        Principal::Node("db01".parse().unwrap())
    );
    let text = String::from_utf8_lossy(&issued.der).into_owned();
    assert!(!text.contains(brine_wire::SERVER_NAME));

    // The same request with another key in it: its signature proves nothing.
    let other = KeyPair::generate().unwrap();
    let mut forged = request.der().to_vec();
    let (ours, theirs) = (pair.public_key_raw(), other.public_key_raw());
    let at = forged
        .windows(ours.len())
        .position(|window| window == ours)
        .unwrap();
    forged[at..at + theirs.len()].copy_from_slice(theirs);
    assert_eq!(
        PublicKey::from_csr(&forged).unwrap_err(),
        IdentityError::Proof
    );
}

#[test]
fn only_p256_and_only_requests() {
    for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let pair = KeyPair::generate_for(kind).unwrap();
        let request = CertificateParams::default()
            .serialize_request(&pair)
            .unwrap();
        assert_eq!(
            PublicKey::from_csr(request.der()).unwrap_err(),
            IdentityError::KeyKind
        );
        assert_eq!(
            Key::from_pem(&pair.serialize_pem()).unwrap_err(),
            IdentityError::Key
        );
    }
    let request = Key::generate().unwrap().csr_der().unwrap();
    let mut longer = request.clone();
    longer.push(0);
    for bad in [&[] as &[u8], b"x", &longer, &vec![0x30; MAX_CSR + 1]] {
        assert_eq!(
            PublicKey::from_csr(bad).unwrap_err(),
            IdentityError::Request
        );
    }
    for cut in 0..request.len() {
        assert!(PublicKey::from_csr(&request[..cut]).is_err());
    }
}

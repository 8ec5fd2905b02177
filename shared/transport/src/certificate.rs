//! How a subject is written into a certificate, and read back.
//!
//! Server: DNS name `server.brine.internal`, usage server authentication. Node: URIs
//! `brine:node:db01` and `brine:machine:<hash>`, operator: `brine:operator:admin`, both with usage
//! client authentication. Usage and kind of name both differ, so none passes for another.

use brine_model::name::{NodeName, OperatorName};
use brine_model::time::Timestamp;
use brine_wire::SERVER_NAME;
use data_encoding::HEXLOWER;
use rcgen::{DnType, ExtendedKeyUsagePurpose, SanType};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::identity::fingerprint;
use crate::peer::{Peer, node, operator};

const NODE: &str = "brine:node:";
const OPERATOR: &str = "brine:operator:";
const MACHINE: &str = "brine:machine:";

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The server itself.
    Server,
    Node {
        name: NodeName,
        /// Of /etc/machine-id, hashed: 1 to 128 of a-z, A-Z, 0-9 and -.
        machine_id: String,
    },
    Operator(OperatorName),
}

/// The machine-id's hash is not made of the characters that it may be made of.
pub(crate) struct InvalidMachineId;

impl Subject {
    pub(crate) fn common_name(&self) -> String {
        match self {
            Self::Server => SERVER_NAME.to_owned(),
            Self::Node { name, .. } => format!("node {name}"),
            Self::Operator(name) => format!("operator {name}"),
        }
    }

    pub(crate) const fn usage(&self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Self::Node { .. } | Self::Operator(_) => ExtendedKeyUsagePurpose::ClientAuth,
        }
    }

    pub(crate) fn names(&self) -> Result<Vec<SanType>, InvalidMachineId> {
        let uri = |text: String| {
            text.try_into()
                .map(SanType::URI)
                .map_err(|_| InvalidMachineId)
        };
        match self {
            Self::Server => {
                let name = SERVER_NAME.try_into().map_err(|_| InvalidMachineId)?;
                Ok(vec![SanType::DnsName(name)])
            }
            Self::Node { machine_id, .. } if !is_machine_id(machine_id) => Err(InvalidMachineId),
            Self::Node { name, machine_id } => Ok(vec![
                uri(format!("{NODE}{name}"))?,
                uri(format!("{MACHINE}{machine_id}"))?,
            ]),
            Self::Operator(name) => Ok(vec![uri(format!("{OPERATOR}{name}"))?]),
        }
    }
}

pub(crate) fn common_name(text: String) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn is_machine_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What is wrong with a certificate.
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads a client's certificate. Anything that [`Subject`] would not have written is refused.
pub(crate) fn read(der: &[u8]) -> Result<Peer, Malformed> {
    let certificate = parse(der)?;
    client_only(&certificate)?;
    let (mut principal, mut machine_id) = (None, None);
    for name in names(&certificate)? {
        let GeneralName::URI(uri) = name else {
            return Err(Malformed("it has a name that is no URI"));
        };
        let known = if let Some(name) = uri.strip_prefix(NODE) {
            first(&mut principal, node(name))
        } else if let Some(name) = uri.strip_prefix(OPERATOR) {
            first(&mut principal, operator(name))
        } else if let Some(hash) = uri.strip_prefix(MACHINE) {
            first(
                &mut machine_id,
                is_machine_id(hash).then(|| hash.to_owned()),
            )
        } else {
            false
        };
        if !known {
            return Err(Malformed("it has an unknown or a second name"));
        }
    }
    Ok(Peer {
        principal: principal.ok_or(Malformed("it names nobody"))?,
        fingerprint: Some(fingerprint(certificate.public_key().raw)),
        serial: Some(HEXLOWER.encode(certificate.raw_serial())),
        machine_id,
        expires: Some(time(certificate.validity().not_after)),
    })
}

pub(crate) fn time(time: x509_parser::time::ASN1Time) -> Timestamp {
    Timestamp::from_secs(time.timestamp())
}

/// Takes `value` unless it is none or not the first.
fn first<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    value.is_some_and(|value| place.replace(value).is_none())
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Malformed> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Malformed("it cannot be read")),
    }
}

fn client_only(certificate: &X509Certificate<'_>) -> Result<(), Malformed> {
    let usage = certificate
        .extended_key_usage()
        .ok()
        .flatten()
        .ok_or(Malformed("it does not say what it is for"))?
        .value;
    if certificate.is_ca() {
        return Err(Malformed("it is an authority's"));
    }
    if !usage.client_auth || usage.server_auth || usage.any {
        return Err(Malformed("it is not for clients only"));
    }
    Ok(())
}

fn names<'a>(certificate: &'a X509Certificate<'a>) -> Result<&'a [GeneralName<'a>], Malformed> {
    let names = certificate.subject_alternative_name().ok().flatten();
    Ok(&names
        .ok_or(Malformed("it names nobody"))?
        .value
        .general_names)
}

//! Certificates for what runs on the nodes: etcd among its members, a database for its clients.
//!
//! They come from an authority of their own, so that none of them passes for a node or an
//! operator; and they are for servers and clients both, which no other certificate is.

use std::net::IpAddr;
use std::time::Duration;

use brine_model::host::CertificateState;
use brine_model::inventory::Certificate;
use brine_model::resources::certificate_name;
use brine_model::time::Timestamp;
use brine_wire::SERVER_NAME;
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::authority::{Authority, AuthorityError, Certificate as Issued};
use crate::certificate::{parse, time};
use crate::identity::{Key, PublicKey, certificate_from_pem, fingerprint};

/// X.509 allows no longer common name.
const COMMON_NAME: usize = 64;

impl Authority {
    /// Certifies that `key` belongs to whoever is reached by `names`: DNS names and addresses.
    pub fn issue_workload(
        &self,
        names: &[String],
        key: &PublicKey,
        now: Timestamp,
        validity: Duration,
    ) -> Result<Issued, AuthorityError> {
        let names = checked(names)?;
        let first = names.first().map_or("", String::as_str);
        let common_name = if first.len() <= COMMON_NAME {
            first
        } else {
            "workload"
        };
        let mut params = self.params(common_name.to_owned(), now, validity)?;
        params.subject_alt_names = names
            .iter()
            .map(|name| alternative(name))
            .collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params, key, now, validity)
    }
}

/// In one spelling, each once, the first one first.
fn checked(names: &[String]) -> Result<Vec<String>, AuthorityError> {
    let mut known: Vec<String> = Vec::new();
    for name in names {
        let name = certificate_name(name).map_err(AuthorityError::WorkloadName)?;
        if name == SERVER_NAME {
            return Err(AuthorityError::WorkloadName(format!(
                "`{name}` is this server's own name"
            )));
        }
        if !known.contains(&name) {
            known.push(name);
        }
    }
    if known.is_empty() {
        return Err(AuthorityError::WorkloadName("it has no name".to_owned()));
    }
    Ok(known)
}

fn alternative(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.parse() {
        return Ok(SanType::IpAddress(address));
    }
    let written = name.try_into().map(SanType::DnsName);
    written.map_err(|_| AuthorityError::WorkloadName(format!("`{name}` is no name")))
}

/// What a certificate says, judged by the key and the authority beside it; all in PEM. None where
/// the certificate itself cannot be read.
#[must_use]
pub fn examine(
    certificate: &str,
    key: Option<&str>,
    authority: Option<&str>,
) -> Option<CertificateState> {
    let der = certificate_from_pem(certificate).ok()?;
    let certificate = parse(&der).ok()?;
    let mut names: Vec<String> = Vec::new();
    if let Some(extension) = certificate.subject_alternative_name().ok()? {
        names.extend(extension.value.general_names.iter().map(text));
    }
    names.sort_unstable();
    let ours = || {
        let key = Key::from_pem(key?).ok()?.public();
        Some(key.fingerprint() == fingerprint(certificate.public_key().raw))
    };
    let signed = || {
        let der = certificate_from_pem(authority?).ok()?;
        let authority = parse(&der).ok()?;
        let issuer = Some(authority.public_key());
        let good = authority.is_ca()
            && authority.subject().as_raw() == certificate.issuer().as_raw()
            && certificate.verify_signature(issuer).is_ok();
        Some(good)
    };
    Some(CertificateState {
        names,
        starts: time(certificate.validity().not_before),
        expires: time(certificate.validity().not_after),
        consistent: ours() == Some(true) && signed() == Some(true),
    })
}

/// Every certificate in a text of PEM, for an inventory; what is none is left out.
#[must_use]
pub fn certificates(pem: &[u8]) -> Vec<Certificate> {
    let blocks = Pem::iter_from_buffer(pem).flatten();
    let blocks = blocks.filter(|block| block.label == "CERTIFICATE");
    let read = |block: Pem| {
        let certificate = parse(&block.contents).ok()?;
        let mut names: Vec<String> = Vec::new();
        if let Ok(Some(extension)) = certificate.subject_alternative_name() {
            names.extend(extension.value.general_names.iter().map(text));
        }
        names.sort_unstable();
        Some(Certificate {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names,
            starts: time(certificate.validity().not_before),
            expires: time(certificate.validity().not_after),
            authority: certificate.is_ca(),
        })
    };
    blocks.filter_map(read).collect()
}

fn text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => name.to_ascii_lowercase(),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let sixteen = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| sixteen());
            address.map_or_else(|_| "?".to_owned(), |address| address.to_string())
        }
        other => other.to_string(),
    }
}

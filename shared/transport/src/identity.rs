//! Keys, and how people compare them.
//!
//! Text in, text out: which file a key lives in, and with what mode, is the programs' business.

use std::sync::Arc;

use brine_model::digest::Digest;
use data_encoding::BASE64;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

/// A private key (ECDSA P-256). It never travels; `Debug` shows its fingerprint only.
#[derive(Clone)]
pub struct Key(Arc<KeyPair>);

/// The text is no key, no certificate, or no request that proves its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot make a key: {0}")]
    Generate(String),
    #[error("not a private key in PEM (PKCS#8, ECDSA P-256)")]
    Key,
    #[error("not one certificate in PEM")]
    Certificate,
    #[error("not a certificate request (PKCS#10, DER) of at most {MAX_CSR} bytes")]
    Request,
    #[error("the request's key is not ECDSA P-256")]
    KeyKind,
    #[error("the request is not signed by its own key")]
    Proof,
}

/// The longest certificate request that is looked at, in bytes; ours have about 250.
pub const MAX_CSR: usize = 8 << 10;

impl Key {
    pub fn generate() -> Result<Self, IdentityError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| IdentityError::Generate(error.to_string()))?;
        Ok(Self(Arc::new(pair)))
    }

    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(text, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_| IdentityError::Key)?;
        Ok(Self(Arc::new(pair)))
    }

    /// PKCS#8. Whoever writes it: 0600 before the first byte.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            spki: self.0.subject_public_key_info(),
            point: self.0.der_bytes().to_vec(),
        }
    }

    /// A certificate request that proves this key and names nobody: names are the server's to give.
    pub fn csr_der(&self) -> Result<Vec<u8>, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params
            .serialize_request(&*self.0)
            .map_err(|error| IdentityError::Generate(error.to_string()))?;
        Ok(request.der().to_vec())
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }

    pub(crate) fn private_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.public().fingerprint())
    }
}

/// A public key whose owner has proved to have the private one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// DER of the SubjectPublicKeyInfo.
    spki: Vec<u8>,
    /// The uncompressed point within it.
    point: Vec<u8>,
}

impl PublicKey {
    /// The key of a certificate request. Everything else in the request is ignored.
    pub fn from_csr(der: &[u8]) -> Result<Self, IdentityError> {
        if der.len() > MAX_CSR {
            return Err(IdentityError::Request);
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| IdentityError::Request)?;
        if !rest.is_empty() {
            return Err(IdentityError::Request);
        }
        let spki = &request.certification_request_info.subject_pki;
        let point = p256_point(spki).ok_or(IdentityError::KeyKind)?;
        if request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
            return Err(IdentityError::KeyKind);
        }
        request
            .verify_signature()
            .map_err(|_| IdentityError::Proof)?;
        Ok(Self {
            spki: spki.raw.to_vec(),
            point: point.to_vec(),
        })
    }

    /// For people to compare, and for the registry to know a key again.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.spki)
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn p256_point<'a>(spki: &'a SubjectPublicKeyInfo<'_>) -> Option<&'a [u8]> {
    let curve = spki.algorithm.parameters.as_ref()?.as_oid().ok()?;
    let point: &[u8] = &spki.subject_public_key.data;
    (spki.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve == OID_EC_P256
        && point.len() == 65
        && point[0] == 4)
        .then_some(point)
}

/// Of a public key (DER of its SubjectPublicKeyInfo): `1f3a-…`, eight groups of four digits, the
/// first 128 bits of its BLAKE3. To pass for another key one would have to find a second preimage.
#[must_use]
pub fn fingerprint(spki: &[u8]) -> String {
    let digits = Digest::of(spki).to_string();
    let groups: Vec<&str> = (0..8)
        .map(|group| &digits[group * 4..group * 4 + 4])
        .collect();
    groups.join("-")
}

#[must_use]
pub fn certificate_to_pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let body = BASE64.encode(der);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// The DER of the one certificate in `text`.
pub fn certificate_from_pem(text: &str) -> Result<Vec<u8>, IdentityError> {
    let mut found = CertificateDer::pem_slice_iter(text.as_bytes());
    match (found.next(), found.next()) {
        (Some(Ok(certificate)), None) => Ok(certificate.to_vec()),
        _ => Err(IdentityError::Certificate),
    }
}

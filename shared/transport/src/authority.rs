//! The certificate authority: the one place where identities are made.

use std::time::Duration;

use brine_model::time::Timestamp;
use data_encoding::HEXLOWER;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use x509_parser::time::ASN1Time;
use zeroize::Zeroizing;

pub use crate::certificate::Subject;
use crate::certificate::{common_name, parse};
use crate::identity::{
    IdentityError, Key, PublicKey, certificate_from_pem, certificate_to_pem, fingerprint,
};
use crate::tls;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far the clocks of a fleet may be apart before a new certificate is "not valid yet".
pub const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// Makes certificates. Names come from the registry, never from a request.
pub struct Authority {
    certificate: Vec<u8>,
    key: Key,
}

/// A certificate, just issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub der: Vec<u8>,
    /// Random, in hexadecimal digits.
    pub serial: String,
    pub expires: Timestamp,
    /// Of its key.
    pub fingerprint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot read the authority's key or certificate")]
    Load(#[source] IdentityError),
    #[error("the authority's key is not the one in its certificate")]
    Mismatch,
    #[error("cannot make the authority's key")]
    Key(#[source] IdentityError),
    #[error("the machine-id's hash is not 1 to 128 of a-z, A-Z, 0-9 and -")]
    MachineId,
    #[error("cannot write a certificate: {0}")]
    Write(String),
    #[error("the system gives no random numbers")]
    Random,
    #[error("a workload's certificate cannot be for this: {0}")]
    WorkloadName(String),
}

impl Authority {
    /// A new authority, good for 20 years.
    pub fn create(now: Timestamp) -> Result<Self, AuthorityError> {
        let key = Key::generate().map_err(AuthorityError::Key)?;
        // A name of its own, so that another authority's certificates are told from forged ones.
        let mut params = params(
            now,
            20 * 365 * DAY,
            format!("Brine authority {}", random_hex(4)?),
        )?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(key.pair()).map_err(write_error)?;
        Ok(Self {
            certificate: certificate.der().to_vec(),
            key,
        })
    }

    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let certificate = certificate_from_pem(certificate_pem).map_err(AuthorityError::Load)?;
        let key = Key::from_pem(key_pem).map_err(AuthorityError::Load)?;
        let theirs = parse(&certificate)
            .map(|parsed| fingerprint(parsed.public_key().raw))
            .map_err(|_| AuthorityError::Load(IdentityError::Certificate))?;
        if theirs != key.public().fingerprint() {
            return Err(AuthorityError::Mismatch);
        }
        Ok(Self { certificate, key })
    }

    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    #[must_use]
    pub fn certificate_pem(&self) -> String {
        certificate_to_pem(&self.certificate)
    }

    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.key.to_pem()
    }

    /// Certifies that `key` is `subject`'s, until `validity` from `now`; see [`Subject::validity`].
    pub fn issue(
        &self,
        subject: &Subject,
        key: &PublicKey,
        now: Timestamp,
        validity: Duration,
    ) -> Result<Certificate, AuthorityError> {
        let mut params = self.params(subject.common_name(), now, validity)?;
        params.subject_alt_names = subject.names().map_err(|_| AuthorityError::MachineId)?;
        params.extended_key_usages = vec![subject.usage()];
        self.sign(params, key, now, validity)
    }

    /// What every certificate has in common that is no authority's.
    pub(crate) fn params(
        &self,
        common_name: String,
        now: Timestamp,
        validity: Duration,
    ) -> Result<CertificateParams, AuthorityError> {
        let mut params = params(now, validity, common_name)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    pub(crate) fn sign(
        &self,
        params: CertificateParams,
        key: &PublicKey,
        now: Timestamp,
        validity: Duration,
    ) -> Result<Certificate, AuthorityError> {
        let serial = params
            .serial_number
            .as_ref()
            .map(rcgen::SerialNumber::to_bytes);
        let issuer: Issuer<'_, &KeyPair> =
            Issuer::from_ca_cert_der(&self.certificate.as_slice().into(), self.key.pair())
                .map_err(write_error)?;
        let certificate = params.signed_by(key, &issuer).map_err(write_error)?;
        Ok(Certificate {
            der: certificate.der().to_vec(),
            serial: HEXLOWER.encode(&serial.unwrap_or_default()),
            expires: Timestamp::from_secs(now.plus(validity).as_secs()),
            fingerprint: key.fingerprint(),
        })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.key.public().fingerprint())
    }
}

impl Subject {
    /// How long its certificate is good for unless someone decides otherwise.
    #[must_use]
    pub const fn validity(&self) -> Duration {
        let days = match self {
            // Renewed by `brine-server init` only: as long as a server may live.
            Self::Server => 10 * 365,
            Self::Node { .. } | Self::Operator(_) => 365,
        };
        Duration::from_secs(days * DAY.as_secs())
    }
}

fn params(
    now: Timestamp,
    validity: Duration,
    name: String,
) -> Result<CertificateParams, AuthorityError> {
    let time = |secs: i64| {
        ASN1Time::from_timestamp(secs)
            .map(|time| time.to_datetime())
            .map_err(|error| AuthorityError::Write(error.to_string()))
    };
    // Positive and never zero, as certificates want it: the first byte is 0x40 to 0x7f.
    let mut serial = random::<16>()?;
    serial[0] = serial[0] & 0x3f | 0x40;
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial.to_vec().into());
    params.not_before = time(now.as_secs() - CLOCK_SKEW.as_secs() as i64)?;
    params.not_after = time(now.plus(validity).as_secs())?;
    params.distinguished_name = common_name(name);
    Ok(params)
}

fn random_hex(bytes: usize) -> Result<String, AuthorityError> {
    Ok(HEXLOWER.encode(&random::<16>()?[..bytes.min(16)]))
}

fn random<const N: usize>() -> Result<[u8; N], AuthorityError> {
    tls::random().ok_or(AuthorityError::Random)
}

fn write_error(error: rcgen::Error) -> AuthorityError {
    AuthorityError::Write(error.to_string())
}

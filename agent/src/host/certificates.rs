//! Certificates of the workload authority, with their keys.

use std::path::Path;

use brine_model::host::{CertificateOrder, CertificateState, HostError, HostResult};
use brine_model::path::AbsolutePath;
use brine_model::resources::key_ownership;
use brine_transport::identity::{Key, certificate_to_pem};
use brine_transport::workload;

use super::issuer::Issuer;
use super::look;
use super::write::Files;

pub(super) fn state(
    root: &Path,
    path: &AbsolutePath,
    key: &AbsolutePath,
    authority: &AbsolutePath,
) -> HostResult<Option<CertificateState>> {
    let Some(certificate) = text(root, path)? else {
        return Ok(None);
    };
    let (key, authority) = (text(root, key)?, text(root, authority)?);
    Ok(workload::examine(
        &certificate,
        key.as_deref(),
        authority.as_deref(),
    ))
}

/// The key is made anew each time: a renewal is also what ends the use of one that leaked.
///
/// It is written first: with only that, the old certificate is seen not to be its own.
pub(super) fn order(
    order: &CertificateOrder,
    issuer: Option<&Issuer>,
    files: &Files<'_>,
) -> HostResult<()> {
    let failed = |why: &dyn std::fmt::Display| {
        HostError::failed(format!("order {}", order.certificate), why)
    };
    let issuer = issuer.ok_or_else(|| failed(&"there is no way to the server from here"))?;
    let key = Key::generate().map_err(|error| failed(&error))?;
    let csr = key.csr_der().map_err(|error| failed(&error))?;
    let issued = issuer.issue(&order.resource, csr)?;
    let key = key.to_pem();
    let certificate = certificate_to_pem(&issued.certificate);
    let authority = certificate_to_pem(&issued.authority);
    // Checked before anything is written: what lies there may still be good.
    let good = workload::examine(&certificate, Some(&key), Some(&authority))
        .is_some_and(|state| state.consistent);
    if !good {
        return Err(failed(
            &"what the server sent is no certificate for this key by its authority",
        ));
    }
    let ownership = &order.ownership;
    files.write(&order.key, key.as_bytes(), &key_ownership(ownership), None)?;
    files.write(&order.certificate, certificate.as_bytes(), ownership, None)?;
    files.write(&order.authority, authority.as_bytes(), ownership, None)
}

fn text(root: &Path, path: &AbsolutePath) -> HostResult<Option<String>> {
    Ok(look::read(root, path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

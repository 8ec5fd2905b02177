//! Fields that hold a secret.

use super::declare::Place;
use crate::deserialize::{Error, TextOrSecret};
use crate::value::SecretText;

/// The text of a field: given as it is, or come along with the catalog. None where nothing was
/// given, and on the server, which reads resources without their secrets.
pub(super) fn text(
    field: &str,
    given: Option<TextOrSecret>,
    place: &Place<'_>,
) -> Result<Option<SecretText>, Error> {
    let reference = match given {
        None => return Ok(None),
        Some(TextOrSecret::Text(text)) => return Ok(Some(SecretText::new(text))),
        Some(TextOrSecret::Secret(reference)) => reference,
    };
    let Some(materials) = place.materials else {
        return Ok(None);
    };
    match (materials.secret)(&reference) {
        Some(text) => Ok(Some(text)),
        None => {
            let name = &reference.name;
            Err(place.error(field, format!("the secret `{name}` did not come along")))
        }
    }
}

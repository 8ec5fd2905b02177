//! Between columns and types.

use std::str::FromStr;

use brine_model::digest::Digest;
use brine_wire::codec;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// The largest value that is kept: a frame on the wire is smaller.
const LIMIT: usize = 64 << 20;

/// An id or count that SQLite keeps signed.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A value that is kept as JSON text: small, and to be read by people with `sqlite3`.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged {
        what: "value",
        cause: error.to_string(),
    })
}

pub(super) fn from_json<T: DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged {
        what,
        cause: error.to_string(),
    })
}

/// A value that is kept as the envelope's codec writes it.
pub(super) fn to_bytes<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, StoreError> {
    codec::encode(value).map_err(|error| StoreError::Damaged {
        what,
        cause: error.to_string(),
    })
}

pub(super) fn from_bytes<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    codec::decode(bytes, LIMIT).map_err(|error| StoreError::Damaged {
        what,
        cause: error.to_string(),
    })
}

/// A name or other text that is parsed.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: &'static str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| StoreError::Damaged {
        what: column,
        cause: error.to_string(),
    })
}

/// A digest as a column of 32 bytes.
pub(super) struct DigestColumn(pub(super) Digest);

impl ToSql for DigestColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0.as_bytes())))
    }
}

impl FromSql for DigestColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = <[u8; 32]>::try_from(value.as_blob()?)
            .map_err(|error| FromSqlError::Other(Box::new(error)))?;
        Ok(Self(Digest::from_bytes(bytes)))
    }
}

/// Collects the rows of a query, each by a function that may fail for other reasons than SQL.
pub(super) fn collect<T>(
    rows: &mut rusqlite::Rows<'_>,
    mut each: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(each(row)?);
    }
    Ok(found)
}

/// An enum without fields, as its word.
pub(super) fn to_word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    Ok(to_json(value)?.trim_matches('"').to_owned())
}

pub(super) fn from_word<T: DeserializeOwned>(
    what: &'static str,
    word: String,
) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(word)).map_err(|error| StoreError::Damaged {
        what,
        cause: error.to_string(),
    })
}

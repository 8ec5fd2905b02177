//! From the fields as written to a resource.

use std::fmt::Display;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::{Kind, Materials, PathField};
use crate::deserialize::{Error, Shape, from_spanned};
use crate::path::AbsolutePath;
use crate::resource::{Resource, ResourceId};
use crate::span::Spanned;

/// The fields of one kind, as people write them.
pub(super) trait Declaration: DeserializeOwned {
    const NAME: &'static str;
    const DOC: &'static str;
    const PATH_FIELDS: &'static [PathField] = &[];
    /// See [`Resource::live`].
    const LIVE: &'static [&'static str] = &[];
    /// See [`Resource::act`].
    const ACTIONS: &'static [&'static str] = &[];

    /// What has drifted may be mended by the node alone: no other node and no server has a part in it.
    const HEALS: bool = false;

    /// Checks what no single field shows, and makes the resource.
    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error>;
}

/// Where a resource is declared.
pub(super) struct Place<'a> {
    pub(super) id: &'a ResourceId,
    pub(super) fields: &'a Spanned,
    pub(super) materials: Option<&'a Materials<'a>>,
}

impl Place<'_> {
    /// An error under the value of `field`, or under the whole where that is not given.
    pub(super) fn error(&self, field: &str, message: impl Into<String>) -> Error {
        let span = self.fields.get(field).unwrap_or(self.fields).span;
        Error::new(span, message)
    }

    /// The identity as a path.
    pub(super) fn path(&self) -> Result<AbsolutePath, Error> {
        self.name()
    }

    /// The identity as something that validates itself.
    pub(super) fn name<T: TryFrom<String, Error: Display>>(&self) -> Result<T, Error> {
        T::try_from(self.id.name().to_owned())
            .map_err(|error| Error::new(self.fields.span, error.to_string()))
    }
}

impl Kind {
    pub(super) fn of<F: Declaration>() -> Self {
        Self {
            name: F::NAME,
            path_fields: F::PATH_FIELDS,
            fields: field_names::<F>(),
            doc: F::DOC,
            live: F::LIVE,
            actions: F::ACTIONS,
            heals: F::HEALS,
            shape: Shape::of::<F>,
            decode: |id, fields, materials| {
                let place = Place {
                    id,
                    fields,
                    materials,
                };
                from_spanned::<F>(fields)?.build(&place)
            },
        }
    }
}

/// The fields that a derived `Deserialize` asks for, taken from what it asks: a list beside the
/// struct would be one more thing to forget.
fn field_names<F: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    let refused = F::deserialize(Names(&mut names)).is_err();
    debug_assert!(refused, "a deserializer without values gives none");
    names
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only the names are asked for"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

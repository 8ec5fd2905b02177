//! Elements, entries and variants, one by one, skipping what was set aside.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
};
use serde::de::{Deserializer, Visitor};

use super::failure::{Context, Failure};
use super::source::Source;
use crate::span::{Key, Spanned};

pub(super) struct Items<'a> {
    left: std::slice::Iter<'a, Spanned>,
    context: &'a Context,
}

impl<'a> Items<'a> {
    pub(super) fn new(items: &'a [Spanned], context: &'a Context) -> Self {
        Self {
            left: items.iter(),
            context,
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        match self.left.find(|item| !self.context.is_aside(item)) {
            Some(item) => fill(seed, item, self.context).map(Some),
            None => Ok(None),
        }
    }
}

pub(super) struct Entries<'a> {
    left: std::slice::Iter<'a, (Key, Spanned)>,
    value: Option<&'a Spanned>,
    context: &'a Context,
}

impl<'a> Entries<'a> {
    pub(super) fn new(pairs: &'a [(Key, Spanned)], context: &'a Context) -> Self {
        Self {
            left: pairs.iter(),
            value: None,
            context,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let Some((key, value)) = self.left.find(|(_, value)| !self.context.is_aside(value)) else {
            return Ok(None);
        };
        self.value = Some(value);
        let filled = seed.deserialize(KeyIn(&key.text));
        filled
            .map(Some)
            .map_err(|failure| failure.at(key.span).blaming(value))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        match self.value.take() {
            Some(value) => fill(seed, value, self.context),
            None => Err(Failure::new("a value was asked for before its key")),
        }
    }
}

/// A map's key.
pub(super) struct KeyIn<'a>(pub(super) &'a str);

/// A variant's name, with what the variant holds.
pub(super) struct Variant<'a> {
    name: &'a str,
    value: Option<(&'a Spanned, &'a Context)>,
}

impl<'a> Variant<'a> {
    pub(super) fn bare(name: &'a str) -> Self {
        Self { name, value: None }
    }

    pub(super) fn with(key: &'a Key, value: &'a Spanned, context: &'a Context) -> Self {
        Self {
            name: &key.text,
            value: Some((value, context)),
        }
    }

    fn source(&self) -> Result<Source<'a>, Failure> {
        match self.value {
            Some((value, context)) => Ok(Source::new(value, context)),
            None => Err(Failure::new(format!(
                "`{0}` needs a value: `{0}: …`",
                self.name
            ))),
        }
    }

    fn place<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        match self.value {
            Some((value, _)) => result.map_err(|failure| failure.at(value.span)),
            None => result,
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        let name: StrDeserializer<'_, Failure> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match self.value {
            None => Ok(()),
            Some((value, _)) => {
                Err(Failure::new(format!("`{}` takes no value", self.name)).at(value.span))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        let source = self.source()?;
        self.place(seed.deserialize(source))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let source = self.source()?;
        self.place(source.deserialize_tuple(length, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let source = self.source()?;
        self.place(source.deserialize_struct("", fields, visitor))
    }
}

/// Fills one element or entry; what goes wrong inside without a place of its own is at its value.
fn fill<'de, T: DeserializeSeed<'de>>(
    seed: T,
    value: &Spanned,
    context: &Context,
) -> Result<T::Value, Failure> {
    seed.deserialize(Source::new(value, context))
        .map_err(|failure| failure.at(value.span).blaming(value))
}

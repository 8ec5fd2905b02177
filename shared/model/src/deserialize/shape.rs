//! What a type takes, found by asking it: its own `Deserialize` tells, so a schema cannot differ from
//! what is read.
//!
//! A type is asked again and again, each time with nothing but one field, and stopped as soon as it has
//! said what that field wants.

use std::cell::RefCell;
use std::fmt::Display;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
};

use super::field::{BLOB, LOCATED, ONE_OR_MANY, SECRET, TEXT_OR_SECRET, VALUE};

/// What is expected at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Anything,
    Boolean,
    Integer,
    Number,
    /// Any plain scalar: it is taken by its source text.
    Text,
    OneOf(Vec<&'static str>),
    List(Box<Shape>),
    /// A list, or the one element by itself.
    OneOrMany(Box<Shape>),
    /// By names that are free.
    Map(Box<Shape>),
    Fields(Vec<(&'static str, Shape)>),
}

impl Shape {
    /// What `T` takes.
    #[must_use]
    pub fn of<T: DeserializeOwned>() -> Self {
        at::<T>(&[])
    }
}

/// What `T` takes at a path of fields, by their places in their structs.
fn at<T: DeserializeOwned>(path: &[usize]) -> Shape {
    let found = RefCell::new(Found::default());
    let probe = Probe {
        path,
        found: &found,
    };
    // Always an error: nothing is ever given.
    let _ = T::deserialize(probe);
    let Found { wraps, leaf } = found.into_inner();
    let inner = match leaf {
        Some(Leaf::Fields(names)) => {
            let fields = names.iter().enumerate().map(|(place, &name)| {
                let below: Vec<usize> = path.iter().copied().chain([place]).collect();
                (name, at::<T>(&below))
            });
            Shape::Fields(fields.collect())
        }
        Some(Leaf::Shape(shape)) => shape,
        None => Shape::Anything,
    };
    wraps
        .into_iter()
        .rev()
        .fold(inner, |inner, wrap| match wrap {
            Wrap::List => Shape::List(Box::new(inner)),
            Wrap::OneOrMany => Shape::OneOrMany(Box::new(inner)),
            Wrap::Map => Shape::Map(Box::new(inner)),
        })
}

#[derive(Default)]
struct Found {
    /// Around what is at the end of the path, from outside.
    wraps: Vec<Wrap>,
    leaf: Option<Leaf>,
}

enum Wrap {
    List,
    OneOrMany,
    Map,
}

enum Leaf {
    Shape(Shape),
    Fields(&'static [&'static str]),
}

#[derive(Debug)]
struct Stop;

impl Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("only asked")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

#[derive(Clone, Copy)]
struct Probe<'a> {
    path: &'a [usize],
    found: &'a RefCell<Found>,
}

impl Probe<'_> {
    fn is<T>(self, shape: Shape) -> Result<T, Stop> {
        self.ends(Leaf::Shape(shape))
    }

    fn ends<T>(self, leaf: Leaf) -> Result<T, Stop> {
        self.found.borrow_mut().leaf.get_or_insert(leaf);
        Err(Stop)
    }

    fn within(self, wrap: Wrap) -> Self {
        self.found.borrow_mut().wraps.push(wrap);
        self
    }
}

macro_rules! answers {
    ($($method:ident => $shape:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
            self.is($shape)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    answers! {
        deserialize_any => Shape::Anything;
        deserialize_ignored_any => Shape::Anything;
        deserialize_unit => Shape::Anything;
        deserialize_bool => Shape::Boolean;
        deserialize_i8 => Shape::Integer;
        deserialize_i16 => Shape::Integer;
        deserialize_i32 => Shape::Integer;
        deserialize_i64 => Shape::Integer;
        deserialize_u8 => Shape::Integer;
        deserialize_u16 => Shape::Integer;
        deserialize_u32 => Shape::Integer;
        deserialize_u64 => Shape::Integer;
        deserialize_f32 => Shape::Number;
        deserialize_f64 => Shape::Number;
        deserialize_char => Shape::Text;
        deserialize_str => Shape::Text;
        deserialize_string => Shape::Text;
        deserialize_bytes => Shape::Text;
        deserialize_byte_buf => Shape::Text;
        deserialize_identifier => Shape::Text;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match name {
            BLOB | SECRET | TEXT_OR_SECRET => self.is(Shape::Text),
            VALUE => self.is(Shape::Anything),
            ONE_OR_MANY => visitor.visit_seq(Parts::element(self.within(Wrap::OneOrMany))),
            LOCATED => visitor.visit_seq(Parts::located(self)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_seq(Parts::element(self.within(Wrap::List)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Stop> {
        self.is(Shape::Anything)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_map(Pair {
            name: Some("name"),
            probe: self.within(Wrap::Map),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let Some((&place, path)) = self.path.split_first() else {
            return self.ends(Leaf::Fields(fields));
        };
        // What is around the struct is not around its field.
        self.found.borrow_mut().wraps.clear();
        visitor.visit_map(Pair {
            name: fields.get(place).copied(),
            probe: Probe { path, ..self },
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stop> {
        self.is(Shape::OneOf(variants.to_vec()))
    }
}

/// One pair of a map: a name, and whatever is asked of its value.
struct Pair<'a> {
    name: Option<&'static str>,
    probe: Probe<'a>,
}

impl<'de> MapAccess<'de> for Pair<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        let Some(name) = self.name.take() else {
            return Ok(None);
        };
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.probe)
    }
}

/// Elements of a sequence: a place's numbers, where it begins with one, then what is asked.
struct Parts<'a> {
    numbers: u8,
    probe: Probe<'a>,
}

impl<'a> Parts<'a> {
    const fn element(probe: Probe<'a>) -> Self {
        Self { numbers: 0, probe }
    }

    const fn located(probe: Probe<'a>) -> Self {
        Self { numbers: 3, probe }
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        use serde::de::IntoDeserializer;
        if self.numbers > 0 {
            self.numbers -= 1;
            return seed.deserialize(0_u32.into_deserializer()).map(Some);
        }
        seed.deserialize(self.probe).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::super::{Located, OneOrMany, TextOrSecret, ValueField};
    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only asked")]
    struct Outer {
        name: Located<String>,
        count: Option<u32>,
        #[serde(default)]
        inner: Vec<Inner>,
        labels: BTreeMap<String, bool>,
        mode: Mode,
        size: Size,
        any: ValueField,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only asked")]
    struct Inner {
        content: Option<TextOrSecret>,
        on: OneOrMany<Located<String>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Slow,
    }

    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Size;

    impl TryFrom<String> for Size {
        type Error = String;

        fn try_from(_: String) -> Result<Self, String> {
            Ok(Self)
        }
    }

    #[test]
    fn a_type_says_what_it_takes() {
        let inner = Shape::Fields(vec![
            ("content", Shape::Text),
            ("on", Shape::OneOrMany(Box::new(Shape::Text))),
        ]);
        let expected = Shape::Fields(vec![
            ("name", Shape::Text),
            ("count", Shape::Integer),
            ("inner", Shape::List(Box::new(inner))),
            ("labels", Shape::Map(Box::new(Shape::Boolean))),
            ("mode", Shape::OneOf(vec!["fast", "slow"])),
            ("size", Shape::Text),
            ("any", Shape::Anything),
        ]);
        assert_eq!(Shape::of::<Outer>(), expected);
        assert!(matches!(Mode::Fast, Mode::Fast | Mode::Slow));
    }
}

//! [`Written`]: what a file or a request says, before anybody knows what it means.
//!
//! TOML and JSON become the same tree, so that one decoder serves the file and the admin API.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wharf_pool::config::Value;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    /// The offset of its first byte; zero in what has no file.
    pub(crate) at: usize,
    /// What it is.
    pub(crate) shape: Shape,
}

/// What a value is, as far as a reader of configuration is concerned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Something without parts.
    Scalar(Value),
    /// Several values.
    List(Vec<Written>),
    /// Values with names.
    Table(Vec<Entry>),
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The name.
    pub(crate) key: String,
    /// The offset of the name's first byte.
    pub(crate) at: usize,
    /// The value.
    pub(crate) value: Written,
}

impl Written {
    /// The tree of a parsed TOML document.
    pub(crate) fn from_toml(table: &Spanned<DeTable<'_>>) -> Self {
        Self {
            at: table.span().start,
            shape: toml_table(table.get_ref()),
        }
    }

    /// The value as settings take it.
    pub(crate) fn value(&self) -> Value {
        match &self.shape {
            Shape::Scalar(value) => value.clone(),
            Shape::List(items) => Value::List(items.iter().map(Self::value).collect()),
            Shape::Table(_) => Value::Other("a table".to_owned()),
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar(Value::Text(text)) => Some(text),
            Shape::Scalar(_) | Shape::List(_) | Shape::Table(_) => None,
        }
    }
}

fn toml_table(table: &DeTable<'_>) -> Shape {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().clone().into_owned(),
        at: key.span().start,
        value: toml_value(value),
    });
    let mut entries: Vec<_> = entries.collect();
    // The parser sorts by name; a reader expects complaints in the order of the file.
    entries.sort_by_key(|entry| entry.at);
    Shape::Table(entries)
}

fn toml_value(value: &Spanned<DeValue<'_>>) -> Written {
    let shape = match value.get_ref() {
        DeValue::String(text) => Shape::Scalar(Value::text(text.clone())),
        DeValue::Integer(n) => {
            let number = i64::from_str_radix(n.as_str(), n.radix());
            Shape::Scalar(number.map_or_else(|_| Value::Other(n.to_string()), Value::Integer))
        }
        DeValue::Boolean(b) => Shape::Scalar(Value::Bool(*b)),
        DeValue::Float(x) => Shape::Scalar(Value::Other(x.to_string())),
        DeValue::Datetime(date) => Shape::Scalar(Value::Other(date.to_string())),
        DeValue::Array(items) => Shape::List(items.iter().map(toml_value).collect()),
        DeValue::Table(table) => toml_table(table),
    };
    Written {
        at: value.span().start,
        shape,
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Reader)
            .map(|shape| Self { at: 0, shape })
    }
}

/// Reads any self-describing format.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::Integer(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        let number = i64::try_from(value).map(Value::Integer);
        Ok(Shape::Scalar(
            number.unwrap_or_else(|_| Value::Other(value.to_string())),
        ))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::Other(value.to_string())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::text(text)))
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar(Value::Off))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Shape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Written>()? {
            // JSON lets the last of two win in silence; a change of limits must not.
            if entries.iter().any(|entry| entry.key == key) {
                return Err(A::Error::custom(format_args!("{key:?} is there twice")));
            }
            entries.push(Entry { key, at: 0, value });
        }
        Ok(Shape::Table(entries))
    }
}

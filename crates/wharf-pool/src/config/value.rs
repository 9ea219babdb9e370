//! [`Value`]: what was written, before anybody knows what it means.

use std::fmt;
use std::time::Duration;

use crate::Cidr;

/// A value as a file or a request has it, in no particular format.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing: the setting is off.
    Off,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Text, and everything that is written as text: durations, sizes, addresses.
    Text(String),
    /// Several values.
    List(Vec<Self>),
    /// Something that no setting takes, as it was written.
    Other(String),
}

impl Value {
    /// The value of a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The whole number, if it is one.
    pub const fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(n) = *self {
            Some(n)
        } else {
            None
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}

impl fmt::Display for Value {
    /// Writes the value as TOML has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("\"off\""),
            Self::Bool(b) => b.fmt(f),
            Self::Integer(n) => n.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Other(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A type that a setting can have: how it is read, and how it is written back.
pub trait Setting: Clone + PartialEq + Sized {
    /// What `value` means.
    ///
    /// # Errors
    ///
    /// [`BadValue`], saying what can be written instead.
    fn read(value: &Value) -> Result<Self, BadValue>;

    /// The value that reads as `self`.
    fn write(&self) -> Value;
}

/// A value that a setting does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} is not a value for it: write {remedy}")]
pub struct BadValue {
    found: String,
    remedy: String,
}

impl BadValue {
    /// `value` cannot be used; `remedy` names what can.
    pub fn new(value: &Value, remedy: impl Into<String>) -> Self {
        Self {
            found: value.to_string(),
            remedy: remedy.into(),
        }
    }

    /// What was written.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What to write instead.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(value: &Value) -> Result<Self, BadValue> {
        if *value == Value::Off || value.as_text() == Some("off") {
            return Ok(None);
        }
        T::read(value).map(Some).map_err(|bad| BadValue {
            remedy: format!("{}, or \"off\"", bad.remedy),
            ..bad
        })
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Off, T::write)
    }
}

impl Setting for bool {
    fn read(value: &Value) -> Result<Self, BadValue> {
        if let Value::Bool(b) = value {
            Ok(*b)
        } else {
            Err(BadValue::new(value, "true or false"))
        }
    }

    fn write(&self) -> Value {
        Value::Bool(*self)
    }
}

/// The longest duration that a setting takes: longer ones are a mistake in the unit.
const LONGEST: Duration = Duration::from_hours(366 * 24);

impl Setting for Duration {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let bad = || BadValue::new(value, "a duration with its unit, from \"1ms\" to \"366d\"");
        let Value::Text(text) = value else {
            return Err(bad());
        };
        match humantime::parse_duration(text) {
            // In whole milliseconds, which is how it is written back.
            Ok(duration)
                if duration.subsec_nanos().is_multiple_of(1_000_000)
                    && !duration.is_zero()
                    && duration <= LONGEST =>
            {
                Ok(duration)
            }
            _ => Err(bad()),
        }
    }

    fn write(&self) -> Value {
        // One unit, as people write it: "75s", not "1m 15s".
        let millis = self.as_millis();
        let whole = millis.is_multiple_of(1000);
        Value::Text(if whole {
            format!("{}s", millis / 1000)
        } else {
            format!("{millis}ms")
        })
    }
}

impl Setting for Vec<Cidr> {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let bad = || BadValue::new(value, "a list of ranges such as [\"10.0.0.0/8\"]");
        let Value::List(items) = value else {
            return Err(bad());
        };
        let range = |item: &Value| item.as_text().and_then(|text| text.parse().ok());
        items
            .iter()
            .map(range)
            .collect::<Option<_>>()
            .ok_or_else(bad)
    }

    fn write(&self) -> Value {
        Value::List(
            self.iter()
                .map(|range| Value::Text(range.to_string()))
                .collect(),
        )
    }
}

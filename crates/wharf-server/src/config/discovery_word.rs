//! The types of settings of `[upstream.discovery]`: how each is written and what it means.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::str::FromStr;

use wharf_pool::config::{BadValue, Setting, Value};
use wharf_upstream::{EndpointAddress, Scheme};

/// What endpoints speak, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spoken(pub(crate) Scheme);

impl Setting for Spoken {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let all = [Scheme::Http, Scheme::Https, Scheme::H2c];
        let found = all
            .into_iter()
            .find(|it| value.as_text() == Some(it.as_str()));
        found
            .map(Self)
            .ok_or_else(|| BadValue::new(value, "\"http\", \"https\" or \"h2c\""))
    }

    fn write(&self) -> Value {
        Value::text(self.0.as_str())
    }
}

/// The members of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Members(pub(crate) Vec<EndpointAddress>);

/// More than any cluster has.
const MEMBERS: usize = 32;

/// A list of addresses: one at least, and not more than any cluster has.
fn several<T: FromStr>(value: &Value) -> Option<Vec<T>> {
    let Value::List(items) = value else {
        return None;
    };
    let address = |item: &Value| item.as_text()?.parse().ok();
    let all: Option<Vec<_>> = items.iter().map(address).collect();
    all.filter(|all| (1..=MEMBERS).contains(&all.len()))
}

/// The same in the form of the file.
fn listed<T: ToString>(all: &[T]) -> Value {
    Value::List(all.iter().map(|it| Value::text(it.to_string())).collect())
}

impl Setting for Members {
    fn read(value: &Value) -> Result<Self, BadValue> {
        several(value)
            .map(Self)
            .ok_or_else(|| BadValue::new(value, "a list such as [\"http://127.0.0.1:2379\"]"))
    }

    fn write(&self) -> Value {
        listed(&self.0)
    }
}

/// The beginning of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix(pub(crate) String);

impl Setting for Prefix {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let text = value
            .as_text()
            .filter(|text| (1..=512).contains(&text.len()));
        text.map(|text| Self(text.to_owned()))
            .ok_or_else(|| BadValue::new(value, "the beginning of keys such as \"/services/api/\""))
    }

    fn write(&self) -> Value {
        Value::text(&*self.0)
    }
}

/// A name that servers of names know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WholeName(pub(crate) String);

impl Setting for WholeName {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let label = |it: &str| (1..64).contains(&it.len()) && it.bytes().all(allowed);
        let text = value.as_text().map(|text| text.trim_end_matches('.'));
        let text = text.filter(|text| text.len() <= 253 && text.split('.').all(label));
        let remedy = "a name such as \"api.internal\" or \"_http._tcp.api.internal\"";
        text.map(|text| Self(text.to_owned()))
            .ok_or_else(|| BadValue::new(value, remedy))
    }

    fn write(&self) -> Value {
        Value::text(&*self.0)
    }
}

/// The number of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port(pub(crate) NonZeroU16);

impl Setting for Port {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let number = if let Value::Integer(number) = value {
            u16::try_from(*number).ok().and_then(NonZeroU16::new)
        } else {
            None
        };
        number
            .map(Self)
            .ok_or_else(|| BadValue::new(value, "1 to 65535"))
    }

    fn write(&self) -> Value {
        Value::Integer(self.0.get().into())
    }
}

/// Servers of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Servers(pub(crate) Vec<SocketAddr>);

impl Setting for Servers {
    fn read(value: &Value) -> Result<Self, BadValue> {
        several(value)
            .map(Self)
            .ok_or_else(|| BadValue::new(value, "a list such as [\"10.0.0.2:53\"]"))
    }

    fn write(&self) -> Value {
        listed(&self.0)
    }
}

/// The name of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User(pub(crate) String);

impl Setting for User {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let text = value
            .as_text()
            .filter(|text| (1..=256).contains(&text.len()));
        text.map(|text| Self(text.to_owned()))
            .ok_or_else(|| BadValue::new(value, "the name of a user"))
    }

    fn write(&self) -> Value {
        Value::text(&*self.0)
    }
}

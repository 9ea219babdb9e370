//! [`Origins`]: whose pages may open a session.

use wharf_pool::config::{BadValue, Setting, Value};

/// Whose pages may open a session. Browsers say where a page is from; others need not say anything,
/// and are not what this protects from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// Anybody's.
    #[default]
    Any,
    /// Pages from these origins: scheme, host, and port if it is not the scheme's own.
    Only(Vec<String>),
}

impl Origins {
    /// Whether a session may be opened from there.
    pub(crate) fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Only(origins) => origins
                .iter()
                .any(|it| it.as_bytes().eq_ignore_ascii_case(origin)),
        }
    }
}

impl Setting for Origins {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let bad = || {
            BadValue::new(
                value,
                "\"any\" or a list of origins such as [\"https://app.example\"]",
            )
        };
        if value.as_text() == Some("any") {
            return Ok(Self::Any);
        }
        let Value::List(items) = value else {
            return Err(bad());
        };
        let origin = |item: &Value| item.as_text().filter(|it| is_origin(it)).map(str::to_owned);
        let origins = items.iter().map(origin).collect::<Option<_>>();
        origins.map(Self::Only).ok_or_else(bad)
    }

    fn write(&self) -> Value {
        match self {
            Self::Any => Value::text("any"),
            Self::Only(origins) => Value::List(origins.iter().map(Value::text).collect()),
        }
    }
}

/// As browsers write it (RFC 6454 6.2): no path, and no slash at the end.
fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, host)| {
        !scheme.is_empty()
            && !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_compared_whole_and_without_case() {
        let origins = Origins::Only(vec!["https://app.example".to_owned()]);
        assert!(origins.allow(b"https://app.example") && origins.allow(b"HTTPS://App.example"));
        for other in [
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.b",
        ] {
            assert!(!origins.allow(other.as_bytes()), "{other}");
        }
        assert!(Origins::Any.allow(b"null") && !origins.allow(b"null"));
    }

    #[test]
    fn origins_are_read_as_they_are_written() {
        let list = Value::List(vec![
            Value::text("https://a.example"),
            Value::text("http://b:81"),
        ]);
        for value in [Value::text("any"), list, Value::List(Vec::new())] {
            assert_eq!(Origins::read(&value).unwrap().write(), value);
        }
        for bad in ["https://a.example/", "a.example", "://a", "https://"] {
            let value = Value::List(vec![Value::text(bad)]);
            assert!(Origins::read(&value).is_err(), "{bad}");
        }
        assert!(Origins::read(&Value::text("https://a.example")).is_err());
    }
}

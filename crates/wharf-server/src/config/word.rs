//! The types of settings that only the server has: how each is written and what it means.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::header::HeaderName;
use tracing::level_filters::LevelFilter;
use wharf_http::admission::{Class, Rank};
use wharf_pool::config::{BadValue, Setting, Value};

/// The text that `value` is, if it is one.
fn text_of(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value {
        Some(text)
    } else {
        None
    }
}

/// A duration that may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay(pub(crate) Duration);

impl Setting for Delay {
    fn read(value: &Value) -> Result<Self, BadValue> {
        if text_of(value) == Some("0s") {
            return Ok(Self(Duration::ZERO));
        }
        let remedy = "a duration with its unit, from \"0s\" to \"366d\"";
        Duration::read(value)
            .map(Self)
            .map_err(|_| BadValue::new(value, remedy))
    }

    fn write(&self) -> Value {
        if self.0.is_zero() {
            Value::text("0s")
        } else {
            self.0.write()
        }
    }
}

/// A value that wharf finds by itself unless it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Auto<T> {
    /// From the machine.
    #[default]
    Found,
    /// As written.
    Set(T),
}

impl<T: Setting> Setting for Auto<T> {
    fn read(value: &Value) -> Result<Self, BadValue> {
        if *value == Value::text("auto") {
            return Ok(Self::Found);
        }
        let or_auto =
            |bad: BadValue| BadValue::new(value, format!("{}, or \"auto\"", bad.remedy()));
        T::read(value).map(Self::Set).map_err(or_auto)
    }

    fn write(&self) -> Value {
        match self {
            Self::Found => Value::text("auto"),
            Self::Set(value) => value.write(),
        }
    }
}

/// Where the admin API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdminAddress {
    /// Nowhere.
    Off,
    /// A TCP address.
    Tcp(SocketAddr),
    /// A socket in the file system, for its owner only.
    Unix(PathBuf),
}

impl Setting for AdminAddress {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let bad = || {
            BadValue::new(
                value,
                "\"127.0.0.1:9900\", \"unix:/run/wharf.sock\" or \"off\"",
            )
        };
        let Value::Text(text) = value else {
            return Err(bad());
        };
        match (text.as_str(), text.strip_prefix("unix:")) {
            ("off", _) => Ok(Self::Off),
            (_, Some(path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            (_, Some(_)) => Err(bad()),
            (address, None) => address.parse().map(Self::Tcp).map_err(|_| bad()),
        }
    }

    fn write(&self) -> Value {
        Value::text(self.to_string())
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A path, relative to the folder of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePath(pub(crate) PathBuf);

impl Setting for FilePath {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let path = text_of(value).filter(|path| !path.is_empty());
        let path = path.map(|path| Self(path.into()));
        path.ok_or_else(|| BadValue::new(value, "the path of a file"))
    }

    fn write(&self) -> Value {
        Value::text(self.0.display().to_string())
    }
}

/// Names that the admin API may be called by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostNames(pub(crate) Vec<String>);

impl Setting for HostNames {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let bad = || BadValue::new(value, "a list of host names such as [\"wharf.internal\"]");
        let Value::List(items) = value else {
            return Err(bad());
        };
        let name = |item: &Value| {
            let name = text_of(item).filter(|name| is_host_name(name));
            name.map(str::to_ascii_lowercase).ok_or_else(bad)
        };
        items.iter().map(name).collect::<Result<_, _>>().map(Self)
    }

    fn write(&self) -> Value {
        Value::List(self.0.iter().map(Value::text).collect())
    }
}

/// The name of a field of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldName(pub(crate) HeaderName);

impl Setting for FieldName {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let name = text_of(value).and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        let name = name.map(Self);
        name.ok_or_else(|| BadValue::new(value, "the name of a field such as \"x-priority\""))
    }

    fn write(&self) -> Value {
        Value::text(self.0.as_str())
    }
}

fn is_host_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    (1..=253).contains(&name.len()) && name.bytes().all(allowed)
}

/// A type whose values are words.
macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)+ }
        $remedy:literal) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$inner])* $variant,)+ }

        impl Setting for $name {
            fn read(value: &Value) -> Result<Self, BadValue> {
                match value.as_text() {
                    $(Some($text) => Ok(Self::$variant),)+
                    _ => Err(BadValue::new(value, $remedy)),
                }
            }

            fn write(&self) -> Value {
                Value::text(self.as_str())
            }
        }

        impl $name {
            /// The word.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

pub(super) use words;

words! {
    /// Which log lines are written.
    LogLevel {
        /// Only what went wrong.
        Error = "error",
        /// And what looks wrong.
        Warn = "warn",
        /// And what happens.
        Info = "info",
        /// And why.
        Debug = "debug",
    } "\"error\", \"warn\", \"info\" or \"debug\""
}

impl LogLevel {
    /// The level as tracing has it.
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}

words! {
    /// Which requests are sent again.
    Again {
        /// Those of which no endpoint can have seen anything.
        Unsent = "unsent",
        /// Those too whose method may be repeated, and which have no body.
        Idempotent = "idempotent",
    } "\"unsent\" or \"idempotent\""
}

words! {
    /// Whether a limit holds.
    LimitMode {
        /// Nothing is limited or measured.
        Off = "off",
        /// Nothing is done, and told what would have been.
        DryRun = "dry_run",
        /// It holds.
        On = "on",
    } "\"off\", \"dry_run\" or \"on\""
}

words! {
    /// How important requests are.
    Priority {
        /// What the service is there for.
        Critical = "critical",
        /// What people wait for.
        Interactive = "interactive",
        /// What says nothing else.
        Normal = "normal",
        /// What can be asked for again later.
        Background = "background",
        /// What can be left out.
        Sheddable = "sheddable",
        /// Let in whatever happens.
        Exempt = "exempt",
    } "\"critical\", \"interactive\", \"normal\", \"background\", \"sheddable\" or \"exempt\""
}

impl Priority {
    /// The same, as the library has it.
    pub(crate) const fn rank(self) -> Rank {
        match self {
            Self::Critical => Rank::new(Class::Critical),
            Self::Interactive => Rank::new(Class::Interactive),
            Self::Normal => Rank::new(Class::Normal),
            Self::Background => Rank::new(Class::Background),
            Self::Sheddable => Rank::new(Class::Sheddable),
            Self::Exempt => Rank::exempt(),
        }
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people on a terminal, for machines elsewhere.
        Auto = "auto",
        /// One JSON object a line.
        Json = "json",
        /// For people.
        Pretty = "pretty",
    } "\"auto\", \"json\" or \"pretty\""
}

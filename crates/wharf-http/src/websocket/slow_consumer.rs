//! [`SlowConsumer`]: what becomes of a client that takes messages slower than they are sent.

use wharf_pool::config::{BadValue, Setting, Value};

/// What becomes of a client that takes messages slower than they are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// Its session is closed: it has missed something, and knows it.
    #[default]
    Close,
    /// The oldest messages that wait for it are dropped: only the newest matter.
    DropOldest,
}

impl SlowConsumer {
    /// The word in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::DropOldest => "drop_oldest",
        }
    }
}

impl Setting for SlowConsumer {
    fn read(value: &Value) -> Result<Self, BadValue> {
        [Self::Close, Self::DropOldest]
            .into_iter()
            .find(|policy| value.as_text() == Some(policy.as_str()))
            .ok_or_else(|| BadValue::new(value, "\"close\" or \"drop_oldest\""))
    }

    fn write(&self) -> Value {
        Value::text(self.as_str())
    }
}

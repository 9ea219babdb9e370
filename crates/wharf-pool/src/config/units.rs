//! Numbers with a meaning: counts, sizes and rates that keep their unit.

use std::fmt;
use std::num::NonZeroU32;

use super::{BadValue, Setting, Value};

/// A number of things, at least one. "None" is never spelled 0: the setting is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(NonZeroU32);

impl Count {
    /// `count` things; `None` for zero.
    pub const fn new(count: u32) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Setting for Count {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let count = value.as_integer().and_then(|n| u32::try_from(n).ok());
        count
            .and_then(Self::new)
            .ok_or_else(|| BadValue::new(value, format!("a number from 1 to {}", u32::MAX)))
    }

    fn write(&self) -> Value {
        Value::Integer(i64::from(self.get()))
    }
}

/// So many a second, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerSecond(NonZeroU32);

impl PerSecond {
    /// `count` a second; `None` for zero.
    pub const fn new(count: u32) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    /// The number a second.
    pub const fn get(self) -> NonZeroU32 {
        self.0
    }
}

impl Setting for PerSecond {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let bare = value.as_integer().and_then(|n| u32::try_from(n).ok());
        let text = value.as_text().and_then(|text| text.strip_suffix("/s"));
        let count = bare.or_else(|| text.and_then(|n| n.trim_end().parse().ok()));
        count
            .and_then(Self::new)
            .ok_or_else(|| BadValue::new(value, "a number of connections a second, such as 100"))
    }

    fn write(&self) -> Value {
        Value::Integer(i64::from(self.0.get()))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl From<Count> for NonZeroU32 {
    fn from(count: Count) -> Self {
        count.0
    }
}

impl ByteSize {
    /// `bytes` bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// `kib` times 1,024 bytes.
    pub const fn kib(kib: u32) -> Self {
        Self((kib as u64) << 10)
    }

    /// `mib` times 1,048,576 bytes.
    pub const fn mib(mib: u32) -> Self {
        Self((mib as u64) << 20)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes, as far as this machine can address them.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = text[..digits].parse().ok()?;
        let unit: u64 = match text[digits..].trim_start() {
            "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return None,
        };
        number.checked_mul(unit).map(Self)
    }
}

impl fmt::Display for ByteSize {
    /// Writes the size in the largest binary unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let fits = |shift: u32| self.0 > 0 && self.0.trailing_zeros() >= shift;
        match units.into_iter().find(|&(_, shift)| fits(shift)) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Setting for ByteSize {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let size = value
            .as_text()
            .and_then(Self::parse)
            .filter(|size| size.0 > 0);
        size.ok_or_else(|| {
            BadValue::new(value, "a size with its unit, such as \"64KiB\" or \"4MiB\"")
        })
    }

    fn write(&self) -> Value {
        Value::Text(self.to_string())
    }
}

/// A number of bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRate(ByteSize);

impl ByteRate {
    /// `bytes` a second.
    pub const fn per_second(bytes: u64) -> Self {
        Self(ByteSize::bytes(bytes))
    }

    /// The number of bytes a second.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl Setting for ByteRate {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let text = value
            .as_text()
            .map(|text| text.strip_suffix("/s").unwrap_or(text));
        let size = text.and_then(ByteSize::parse).filter(|size| size.get() > 0);
        size.map(Self)
            .ok_or_else(|| BadValue::new(value, "bytes a second, such as \"240B/s\""))
    }

    fn write(&self) -> Value {
        Value::Text(format!("{}/s", self.0))
    }
}

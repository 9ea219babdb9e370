//! Names of listeners and pools.

use std::fmt;
use std::sync::Arc;

/// The name of a listener or upstream: one to 32 of `a-z`, `0-9`, `_`, `-`.
///
/// Cheap to clone: names go into every event and log line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerName(Arc<str>);

impl ListenerName {
    /// Checks and keeps `name`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if `name` is empty, longer than 32 bytes, or has another character.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        check(name).map(|()| Self(Arc::from(name)))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ListenerName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a pool, `listener/protocol`.
///
/// To this crate the protocol is only a label; it means something to the adapter that serves the
/// pool's connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolName {
    listener: ListenerName,
    protocol: Arc<str>,
    whole: Arc<str>,
}

impl PoolName {
    /// The name of `listener`'s pool for `protocol`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if `protocol` would not be a valid listener name.
    pub fn new(listener: &ListenerName, protocol: &str) -> Result<Self, InvalidName> {
        check(protocol)?;
        Ok(Self {
            listener: listener.clone(),
            protocol: Arc::from(protocol),
            whole: Arc::from(format!("{listener}/{protocol}")),
        })
    }

    /// The part before the slash.
    pub fn listener(&self) -> &ListenerName {
        &self.listener
    }

    /// The part after the slash.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The whole name, `listener/protocol`.
    pub fn as_str(&self) -> &str {
        &self.whole
    }
}

impl std::str::FromStr for PoolName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (listener, protocol) = text.split_once('/').ok_or_else(|| InvalidName {
            name: text.to_owned(),
        })?;
        Self::new(&ListenerName::new(listener)?, protocol)
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

/// A name that no listener, upstream or protocol may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a name: write 1 to 32 of a-z, 0-9, _ and -")]
pub struct InvalidName {
    name: String,
}

fn check(name: &str) -> Result<(), InvalidName> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if (1..=32).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_name_is_listener_slash_protocol() {
        let name: PoolName = "web/http".parse().unwrap();
        assert_eq!(
            (name.listener().as_str(), name.protocol(), name.as_str()),
            ("web", "http", "web/http")
        );
    }

    #[test]
    fn names_with_other_characters_or_lengths_are_refused() {
        for bad in ["", "Web", "a b", "a/b", "ü", &"x".repeat(33)] {
            assert!(ListenerName::new(bad).is_err(), "{bad:?}");
        }
        assert!(ListenerName::new(&"x".repeat(32)).is_ok());
        assert!("web".parse::<PoolName>().is_err());
    }
}

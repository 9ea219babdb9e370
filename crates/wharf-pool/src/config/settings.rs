//! The table of settings: [`Settings`], [`Patch`] and the macro that declares both.

use std::fmt;

use super::{BadValue, Value};

/// A group of settings that belong together: those of every pool, or those of one protocol.
///
/// Declared with [`settings!`](crate::settings); `()` is the group with no setting.
pub trait Settings: Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// A change of some of the settings.
    type Patch: Patch;

    /// A change of nothing, with the keys of these settings: a group may be of several kinds.
    fn patch(&self) -> Self::Patch;

    /// Every key with its value, in the order of declaration.
    fn values(&self) -> Vec<(Key, Value)>;

    /// Applies `patch`, unchecked.
    fn apply(&mut self, patch: &Self::Patch);

    /// Whether pools with these settings have this one of the settings that every pool has: a rate
    /// of accepts means nothing where nothing is accepted.
    fn has_common(key: &str) -> bool {
        let _ = key;
        true
    }

    /// What is wrong with the values as a whole, beyond what each type checks by itself.
    fn problems(&self) -> Vec<SetError> {
        Vec::new()
    }
}

/// A change of some settings of a group.
pub trait Patch: Clone + fmt::Debug + Send + Sync + 'static {
    /// Every key of the group.
    fn keys(&self) -> &'static [Key];

    /// Notes that `key` becomes `value`.
    ///
    /// # Errors
    ///
    /// [`SetError`] if the group has no such key or the key does not take the value.
    fn set(&mut self, key: &str, value: &Value) -> Result<(), SetError>;
}

/// What a patch says of one setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change<T> {
    /// Nothing: it stays as it is.
    #[default]
    Keep,
    /// It becomes this.
    Set(T),
}

/// A setting as its table declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// The name in configuration.
    pub name: &'static str,
    /// When a change of it takes effect.
    pub applies: Applies,
    /// What it means, in sentences.
    pub documentation: &'static str,
}

impl Key {
    /// A key, as the macro makes it.
    #[doc(hidden)]
    pub const fn new(name: &'static str, applies: Applies, documentation: &'static str) -> Self {
        Self {
            name,
            applies,
            documentation,
        }
    }
}

/// When a change of a setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applies {
    /// At once, on live connections too.
    Now,
    /// On connections that open after the change.
    NextConnection,
    /// By a new socket; connections that the old one accepted are asked to finish.
    NewListener,
    /// When the process starts again; until then the old value goes on.
    Restart,
}

impl Applies {
    /// The word in differences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::NextConnection => "next_connection",
            Self::NewListener => "new_listener",
            Self::Restart => "restart",
        }
    }

    /// What a change means for connections that are open, in a few words.
    pub const fn for_open_connections(self) -> &'static str {
        match self {
            Self::Now => "the new value holds for them too",
            Self::NextConnection => "they keep the old value",
            Self::NewListener => "they are asked to finish",
            Self::Restart => "nothing changes before the process starts again",
        }
    }
}

/// One setting that a change made different.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The setting.
    pub key: Key,
    /// Its value before.
    pub old: Value,
    /// Its value now.
    pub new: Value,
}

/// Why a setting could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// There is no such key here.
    #[error("unknown key {key:?}{}", nearest.map_or(String::new(), |n| format!(": did you mean {n:?}?")))]
    UnknownKey {
        /// What was written.
        key: String,
        /// The key that looks most like it, if one does.
        nearest: Option<&'static str>,
    },
    /// The key does not take the value.
    #[error("{key}: {bad}")]
    BadValue {
        /// The setting.
        key: &'static str,
        /// What was written and what to write instead.
        bad: BadValue,
    },
}

impl SetError {
    /// An unknown key, before anybody knows which keys there are.
    pub fn unknown(key: &str) -> Self {
        Self::UnknownKey {
            key: key.to_owned(),
            nearest: None,
        }
    }

    /// The same error with the nearest of `keys`, if it is about an unknown one.
    #[must_use]
    pub fn among(self, keys: &[Key]) -> Self {
        match self {
            Self::UnknownKey { key, .. } => {
                let nearest = nearest(&key, keys.iter().map(|key| key.name));
                Self::UnknownKey { key, nearest }
            }
            Self::BadValue { .. } => self,
        }
    }
}

/// The one of `names` that differs least from `written`, if it differs little enough to be meant.
pub(crate) fn nearest(
    written: &str,
    names: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    names
        .map(|name| (edit_distance(written, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(written.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance: how many characters to insert, delete or replace.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl Settings for () {
    type Patch = ();

    fn patch(&self) {}

    fn values(&self) -> Vec<(Key, Value)> {
        Vec::new()
    }

    fn apply(&mut self, (): &()) {}
}

impl Patch for () {
    fn keys(&self) -> &'static [Key] {
        &[]
    }

    fn set(&mut self, key: &str, _: &Value) -> Result<(), SetError> {
        Err(SetError::unknown(key))
    }
}

/// Declares a group of settings and the patch that changes it.
///
/// Each line is `key: Type = default, Applies;` under its documentation; the type is a
/// [`Setting`](crate::config::Setting). After the table, `, common: KEYS` names the settings of every
/// pool that pools with this group have; without it they have all.
#[macro_export]
macro_rules! settings {
    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident, $patch:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr, $applies:ident;)+
        }
        $(, common: $common:expr)?
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        $vis struct $name { $($(#[doc = $doc])+ pub $key: $type,)+ }

        #[doc = concat!("A change of some of [`", stringify!($name), "`].")]
        #[derive(Clone, Debug, Default)]
        #[non_exhaustive]
        $vis struct $patch {
            $(#[doc = concat!("What becomes of `", stringify!($key), "`.")]
            pub $key: $crate::config::Change<$type>,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $name {
            /// Every key, in the order of declaration.
            $vis const KEYS: &'static [$crate::config::Key] = &[$(
                $crate::config::Key::new(
                    stringify!($key),
                    $crate::config::Applies::$applies,
                    concat!($($doc),+),
                ),
            )+];
        }

        impl $crate::config::Settings for $name {
            type Patch = $patch;

            fn patch(&self) -> $patch {
                $patch::default()
            }

            fn values(&self) -> Vec<($crate::config::Key, $crate::config::Value)> {
                let values = [$($crate::config::Setting::write(&self.$key),)+];
                Self::KEYS.iter().copied().zip(values).collect()
            }

            fn apply(&mut self, patch: &$patch) {
                $(if let $crate::config::Change::Set(value) = &patch.$key {
                    self.$key = value.clone();
                })+
            }

            $(fn has_common(key: &str) -> bool {
                $common.contains(&key)
            })?
        }

        impl $crate::config::Patch for $patch {
            fn keys(&self) -> &'static [$crate::config::Key] {
                $name::KEYS
            }

            fn set(
                &mut self,
                key: &str,
                value: &$crate::config::Value,
            ) -> Result<(), $crate::config::SetError> {
                match key {
                    $(stringify!($key) => match $crate::config::Setting::read(value) {
                        Ok(read) => self.$key = $crate::config::Change::Set(read),
                        Err(bad) => {
                            let key = stringify!($key);
                            return Err($crate::config::SetError::BadValue { key, bad });
                        }
                    },)+
                    _ => return Err($crate::config::SetError::unknown(key)),
                }
                Ok(())
            }
        }
    };
}

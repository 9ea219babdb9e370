//! [`Token`]: the secret that admin requests bear.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::file::read_bounded;

/// The shortest token that is taken, in characters.
const SHORTEST: usize = 16;

/// A secret: never shown, compared in constant time.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// Reads the token from a file; white space around it does not count.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if there is none that can be used.
    pub(crate) fn read(path: &Path) -> Result<Self, TokenError> {
        let named = |reason: &str| TokenError(format!("{}: {reason}", path.display()));
        let bytes = read_bounded(path, 4096).map_err(|reason| named(&reason))?;
        let text = String::from_utf8(bytes).map_err(|_| named("this is not text"))?;
        let token = text.trim();
        if token.len() < SHORTEST {
            return Err(named("the token in it is shorter than 16 characters"));
        }
        Ok(Self(Arc::from(token)))
    }

    /// Whether `offered` is the token. Takes the same time wherever they differ.
    pub(crate) fn matches(&self, offered: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(offered).into()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why a file holds no token.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TokenError(String);

//! [`Token`]: the secret that admin requests bear.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use subtle::ConstantTimeEq;

/// The shortest token that is taken, in characters.
const SHORTEST: usize = 16;

/// The longest: a header line has to hold it.
const LONGEST: usize = 4096;

/// A secret: never shown, compared in constant time.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// Takes the token from the content of a file; white space around it does not count.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn new(content: Vec<u8>) -> Result<Self, String> {
        let text = String::from_utf8(content).map_err(|_| "this is not text")?;
        match text.trim() {
            token if token.len() < SHORTEST => {
                Err("the token in it is shorter than 16 characters".to_owned())
            }
            token if token.len() > LONGEST => {
                Err("the token in it is longer than 4096 characters".to_owned())
            }
            token => Ok(Self(Arc::from(token))),
        }
    }

    /// The header that bears it; `None` if no header can.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
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

//! [`ClientKey`]: what a server has to answer to a handshake (RFC 6455 4.1).

use std::hash::{BuildHasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderMap, HeaderValue};
use sha1::{Digest as _, Sha1};

/// The key of a handshake, as whoever asks for a session has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey(HeaderValue);

impl ClientKey {
    /// A key that nobody has used.
    pub fn new() -> Self {
        // Nothing is protected by it: it has to differ, so that no cache takes one answer for another.
        let half = || RandomState::new().hash_one(0).to_be_bytes();
        let nonce = [half(), half()].concat();
        let key = HeaderValue::try_from(STANDARD.encode(nonce));
        Self(key.unwrap_or(HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA==")))
    }

    /// The key that a client has sent.
    pub fn of(value: HeaderValue) -> Self {
        Self(value)
    }

    /// As it is sent.
    pub fn value(&self) -> &HeaderValue {
        &self.0
    }

    /// Whether these fields of a 101 open a session: a server has read the handshake, and means it.
    pub fn is_answered_by(&self, fields: &HeaderMap) -> bool {
        let names = |field, protocol: &[u8]| {
            let lists = fields.get_all(field).iter();
            let mut words = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
            words.any(|word| word.trim_ascii().eq_ignore_ascii_case(protocol))
        };
        let accepted = fields.get(SEC_WEBSOCKET_ACCEPT);
        names(UPGRADE, b"websocket")
            && names(CONNECTION, b"upgrade")
            && accepted.is_some_and(|it| answer_to(&self.0).as_ref() == Some(it))
    }
}

impl Default for ClientKey {
    fn default() -> Self {
        Self::new()
    }
}

/// RFC 6455 4.2.2: the key with a name behind it, hashed.
pub(super) fn answer_to(key: &HeaderValue) -> Option<HeaderValue> {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    HeaderValue::from_str(&STANDARD.encode(hash.finalize())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(accept: &str) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        fields.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        fields.insert(SEC_WEBSOCKET_ACCEPT, accept.parse().unwrap());
        fields
    }

    #[test]
    fn the_answer_to_a_key_is_the_one_of_the_rfc() {
        let key = ClientKey::of(HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(key.is_answered_by(&answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        assert!(!key.is_answered_by(&answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo")));
        assert!(!ClientKey::new().is_answered_by(&answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        for missing in [UPGRADE, CONNECTION, SEC_WEBSOCKET_ACCEPT] {
            let mut fields = answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            fields.remove(missing);
            assert!(!key.is_answered_by(&fields));
        }
    }

    #[test]
    fn a_key_is_sixteen_bytes_and_new_each_time() {
        let (one, other) = (ClientKey::new(), ClientKey::new());
        assert_ne!(one, other);
        assert_eq!(STANDARD.decode(one.value().as_bytes()).unwrap().len(), 16);
    }
}

//! [`Asked`]: a request for a session, judged before its handler sees it.

use http::header::{
    CONNECTION, HeaderValue, ORIGIN, RETRY_AFTER, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use wharf_pool::{Berth, MoveReservation, Pool};

use super::settings::Settings;
use crate::connection::HttpConnection;
use crate::flight::Link;
use crate::protocol::Protocol;
use crate::settings::ProtocolSettings;

/// What a request for an upgrade asks for.
pub(crate) enum Asked {
    /// Another protocol than ours to know; or nothing.
    Other,
    /// A session, and it may have one.
    Session(Box<Reserved>),
    /// A session, which its listener does not have: it is an ordinary request now.
    Ordinary,
}

/// A place for a session that its handler may accept.
#[derive(Debug)]
pub(crate) struct Reserved {
    place: MoveReservation<HttpConnection>,
    pool: Pool<HttpConnection>,
}

/// Why a request gets no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not a handshake (RFC 6455 4.2.1).
    Malformed(&'static str),
    /// A version of WebSocket other than 13 (RFC 6455 4.2.2).
    Version,
    /// A page from elsewhere.
    Origin,
    /// There is no place.
    Full,
}

impl Asked {
    /// Judges a request for an upgrade, and takes a place for its session.
    ///
    /// # Errors
    ///
    /// The answer, which no handler makes.
    pub(crate) fn of<B>(request: &mut Request<B>, link: &Link) -> Result<Self, Refusal> {
        if !is_for_websocket(request.headers()) {
            return Ok(Self::Other);
        }
        let Some(pool) = link.shared.pools.of(Protocol::WebSocket) else {
            // RFC 9110 7.8: a server may ignore it and go on as before.
            request.headers_mut().remove(UPGRADE);
            request.headers_mut().remove(CONNECTION);
            request.extensions_mut().remove::<OnUpgrade>();
            return Ok(Self::Ordinary);
        };
        check(request)?;
        check_origin(request, pool)?;
        let place = link.handle.reserve_move(pool).map_err(|reason| {
            let connection = link.handle.id();
            tracing::debug!(%connection, reason = reason.as_str(), "no place for a session");
            Refusal::Full
        })?;
        let pool = pool.clone();
        Ok(Self::Session(Box::new(Reserved { place, pool })))
    }
}

/// Judges a stream that asks to become a session (RFC 8441), and takes a place for it.
///
/// # Errors
///
/// The answer, which no handler makes.
pub(crate) fn book<B>(request: &Request<B>, link: &Link) -> Result<Berth<HttpConnection>, Refusal> {
    let pool = link.shared.pools.of(Protocol::WebSocket);
    let pool = pool.ok_or(Refusal::Malformed("there are no sessions here"))?;
    check_version(request.headers())?;
    check_origin(request, pool)?;
    link.handle.take_berth(pool).map_err(|reason| {
        let connection = link.handle.id();
        tracing::debug!(%connection, reason = reason.as_str(), "no place for a session");
        Refusal::Full
    })
}

fn check_origin<B>(request: &Request<B>, pool: &Pool<HttpConnection>) -> Result<(), Refusal> {
    let config = pool.config();
    let ProtocolSettings::WebSocket(settings) = &config.protocol else {
        return Ok(());
    };
    let origin = request.headers().get(ORIGIN);
    if origin.is_some_and(|it| !settings.allowed_origins.allow(it.as_bytes())) {
        return Err(Refusal::Origin);
    }
    Ok(())
}

impl Reserved {
    /// The handler has accepted, with these fields: the connection is in the session's pool from now
    /// on.
    pub(crate) fn begin(self, accepted: &HeaderMap) -> (Pool<HttpConnection>, Settings) {
        self.place.commit();
        let extensions = accepted.contains_key(SEC_WEBSOCKET_EXTENSIONS);
        let settings = Settings::of(&self.pool, extensions);
        (self.pool, settings)
    }
}

impl Refusal {
    /// The answer, without its body.
    pub(crate) fn response<B>(self, body: B) -> Response<B> {
        let (status, field): (_, Option<(HeaderName, &'static str)>) = match self {
            Self::Malformed(why) => {
                tracing::debug!(why, "no WebSocket handshake");
                (StatusCode::BAD_REQUEST, None)
            }
            Self::Version => (
                StatusCode::UPGRADE_REQUIRED,
                Some((SEC_WEBSOCKET_VERSION, "13")),
            ),
            Self::Origin => (StatusCode::FORBIDDEN, None),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, Some((RETRY_AFTER, "1"))),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        if let Some((name, value)) = field {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// RFC 6455 4.2.1: one of the protocols that it names is ours.
fn is_for_websocket(fields: &HeaderMap) -> bool {
    fields.get_all(UPGRADE).iter().any(|protocols| {
        protocols
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|it| it.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    })
}

/// RFC 6455 4.2.1.
fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let fields = request.headers();
    if request.method() != Method::GET {
        return Err(Refusal::Malformed("the method is not GET"));
    }
    check_version(fields)?;
    if !fields.get(SEC_WEBSOCKET_KEY).is_some_and(is_key) {
        return Err(Refusal::Malformed("Sec-WebSocket-Key is not a key"));
    }
    Ok(())
}

fn check_version(fields: &HeaderMap) -> Result<(), Refusal> {
    match fields.get(SEC_WEBSOCKET_VERSION) {
        Some(version) if version.as_bytes() == b"13" => Ok(()),
        Some(_) => Err(Refusal::Version),
        None => Err(Refusal::Malformed("Sec-WebSocket-Version is missing")),
    }
}

/// Sixteen bytes in base64.
fn is_key(key: &HeaderValue) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = key.as_bytes().strip_suffix(b"==");
    digits.is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut HeaderMap)) -> Request<()> {
        let mut request = Request::new(());
        let fields = request.headers_mut();
        for (name, value) in [
            ("upgrade", "h2c, WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
        change(fields);
        request
    }

    fn with(name: &'static str, value: &'static str) -> Result<(), Refusal> {
        check(&request(|fields| {
            fields.insert(name, HeaderValue::from_static(value));
        }))
    }

    #[test]
    fn a_handshake_is_what_the_rfc_says() {
        assert!(is_for_websocket(request(|_| {}).headers()));
        let other = request(|fields| drop(fields.insert(UPGRADE, HeaderValue::from_static("h2c"))));
        assert!(!is_for_websocket(other.headers()));
        assert_eq!(check(&request(|_| {})), Ok(()));
        assert_eq!(with("sec-websocket-version", "8"), Err(Refusal::Version));
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub2-jZQ==",
        ] {
            assert!(
                matches!(with("sec-websocket-key", key), Err(Refusal::Malformed(_))),
                "{key}"
            );
        }
        let mut post = request(|_| {});
        *post.method_mut() = Method::POST;
        assert!(matches!(check(&post), Err(Refusal::Malformed(_))));
        let bare = request(|fields| drop(fields.remove(SEC_WEBSOCKET_VERSION)));
        assert!(matches!(check(&bare), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn each_refusal_has_its_status() {
        let status = |refusal: Refusal| refusal.response(()).status().as_u16();
        assert_eq!(status(Refusal::Malformed("")), 400);
        assert_eq!(status(Refusal::Origin), 403);
        assert_eq!(status(Refusal::Version), 426);
        assert_eq!(status(Refusal::Full), 503);
        let version = Refusal::Version.response(());
        assert_eq!(version.headers()[SEC_WEBSOCKET_VERSION], "13");
    }
}

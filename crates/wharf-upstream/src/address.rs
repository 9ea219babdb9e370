//! [`EndpointAddress`]: where an endpoint is, and what is spoken to it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// What is spoken to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `http`: HTTP/1 over plain TCP.
    Http,
    /// `https`: TLS, over which ALPN chooses between HTTP/2 and HTTP/1.
    Https,
    /// `h2c`: HTTP/2 over plain TCP, without asking (RFC 9113 3.3).
    H2c,
}

impl Scheme {
    /// The word before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
        }
    }

    /// The label of the pools for it, from the closed set of protocols.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "http2",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http | Self::H2c => 80,
            Self::Https => 443,
        }
    }
}

/// Where an endpoint is: `http://127.0.0.1:3001`, `https://api.internal`, `h2c://[::1]:50051`.
///
/// Cheap to clone: it goes into every report and error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointAddress {
    scheme: Scheme,
    host: Arc<str>,
    port: u16,
    /// The name that this IP address was found under.
    name: Option<Arc<str>>,
}

impl EndpointAddress {
    /// What is spoken to it.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its IP address, if it is not given by name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The same endpoint at one of the addresses that its name stands for.
    pub(crate) fn found_at(&self, address: SocketAddr) -> Self {
        Self {
            scheme: self.scheme,
            host: Arc::from(address.ip().to_string()),
            port: address.port(),
            name: self.ip().is_none().then(|| Arc::clone(&self.host)),
        }
    }

    /// The same place, spoken to in another way.
    #[cfg(feature = "etcd")]
    pub(crate) fn spoken(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// Whether it was found under the name of `origin`.
    pub(crate) fn is_of(&self, origin: &Self) -> bool {
        self.name.as_ref() == Some(&origin.host) && self.port == origin.port
    }

    /// The name that its certificate has, if it has one.
    pub(crate) fn server_name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.host)
    }

    /// `host:port` as it stands in a `Host` field: without the port that the scheme implies.
    pub fn authority(&self) -> String {
        let host = self.server_name();
        let (open, close) = brackets(host);
        if self.port == self.scheme.port() {
            format!("{open}{host}{close}")
        } else {
            format!("{open}{host}{close}:{}", self.port)
        }
    }
}

/// Around a host in a URL: only IPv6 addresses have colons.
fn brackets(host: &str) -> (&'static str, &'static str) {
    if host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    }
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = brackets(&self.host);
        let (scheme, host, port) = (self.scheme.as_str(), &self.host, self.port);
        write!(f, "{scheme}://{open}{host}{close}:{port}")
    }
}

impl FromStr for EndpointAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        parse(text).ok_or_else(|| InvalidAddress(without_credentials(text)))
    }
}

/// Text that names no endpoint, without the credentials that it may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an endpoint: write http://host:port, https://host:port or h2c://host:port")]
pub struct InvalidAddress(String);

impl InvalidAddress {
    /// What was written, without what stands before an `@` or behind a `?`: it may be a secret, and this is for logs.
    pub fn written(&self) -> &str {
        &self.0
    }
}

fn without_credentials(text: &str) -> String {
    let is_scheme = |it: &str| it.bytes().all(|b| b.is_ascii_alphanumeric());
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        Some(_) | None => (String::new(), text),
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((_, place)) => ("…@", place),
        None => ("", rest),
    };
    match place.split_once('?') {
        Some((place, _)) => format!("{scheme}{user}{place}?…"),
        None => format!("{scheme}{user}{place}"),
    }
}

fn parse(text: &str) -> Option<EndpointAddress> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = [Scheme::Http, Scheme::Https, Scheme::H2c]
        .into_iter()
        .find(|it| it.as_str() == scheme)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        None => match rest.find(':') {
            Some(colon) => rest.split_at(colon),
            None => (rest, ""),
        },
    };
    let port = if port.is_empty() {
        scheme.port()
    } else {
        let digits = port.strip_prefix(':')?;
        // A sign would be read too.
        let number = digits.bytes().all(|b| b.is_ascii_digit());
        number.then(|| digits.parse().ok()).flatten()?
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    let good = !host.is_empty() && host.len() <= 253 && host.bytes().all(named) && port != 0;
    good.then(|| EndpointAddress {
        scheme,
        host: Arc::from(host.to_ascii_lowercase()),
        port,
        name: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_back() {
        for (text, whole, authority) in [
            (
                "http://127.0.0.1:3001",
                "http://127.0.0.1:3001",
                "127.0.0.1:3001",
            ),
            (
                "https://API.internal",
                "https://api.internal:443",
                "api.internal",
            ),
            ("h2c://[::1]:50051", "h2c://[::1]:50051", "[::1]:50051"),
            ("http://[::1]/", "http://[::1]:80", "[::1]"),
        ] {
            let address: EndpointAddress = text.parse().unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.authority().as_str()),
                (whole, authority)
            );
        }
    }

    #[test]
    fn an_error_repeats_no_credentials() {
        for (text, written) in [
            ("http://me:secret@a:1", "http://…@a:1"),
            ("https://me:se/c@r:et@a", "https://…@a"),
            ("me:secret@a:1", "…@a:1"),
            ("me:http://secret@a:1", "…@a:1"),
            ("me@b://secret@a", "…@a"),
            ("http://a:1/x?token=secret", "http://a:1/x?…"),
            ("http://a:b", "http://a:b"),
        ] {
            let error = text.parse::<EndpointAddress>().unwrap_err();
            assert_eq!(error.written(), written);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "127.0.0.1:3001",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:70000",
            "http://a:+1",
            "http://a:1/path",
            "http://user@a",
            "http://[::1",
            "http://[a]:1",
            "http://::1",
            "http://a b",
        ] {
            assert!(text.parse::<EndpointAddress>().is_err(), "{text:?}");
        }
    }
}

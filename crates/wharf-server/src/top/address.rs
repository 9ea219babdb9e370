//! [`AdminUrl`]: where an admin API is, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where an admin API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdminUrl {
    /// A host and port, over TLS or not.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        port: u16,
        scheme: Scheme,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

/// How bytes go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl AdminUrl {
    /// What requests are for.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// What is no address of an admin API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write http://127.0.0.1:9900, https://host:9900 or unix:/run/wharf.sock")]
pub(crate) struct InvalidUrl;

impl FromStr for AdminUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(InvalidUrl)
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(_) => return Err(InvalidUrl),
            None => (Scheme::Http, text),
        };
        let (host, port) = authority(rest.strip_suffix('/').unwrap_or(rest)).ok_or(InvalidUrl)?;
        Ok(Self::Tcp { host, port, scheme })
    }
}

/// A host and its port; without one, that of the admin API.
fn authority(text: &str) -> Option<(String, u16)> {
    const PORT: u16 = 9900;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port? {
        "" => PORT,
        port => port.parse().ok()?,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    (!host.is_empty() && host.chars().all(allowed)).then(|| (host.to_owned(), port))
}

impl fmt::Display for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp {
                scheme: Scheme::Http,
                ..
            } => write!(f, "http://{}", self.authority()),
            Self::Tcp {
                scheme: Scheme::Https,
                ..
            } => write!(f, "https://{}", self.authority()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (written, shown) in [
            ("http://127.0.0.1:9900", "http://127.0.0.1:9900"),
            ("http://127.0.0.1:9900/", "http://127.0.0.1:9900"),
            ("127.0.0.1", "http://127.0.0.1:9900"),
            ("ops.internal:80", "http://ops.internal:80"),
            ("https://[::1]:9900", "https://[::1]:9900"),
            ("https://[::1]", "https://[::1]:9900"),
            ("unix:/run/wharf.sock", "unix:/run/wharf.sock"),
            ("unix:///run/wharf.sock", "unix:/run/wharf.sock"),
        ] {
            let read = written.parse::<AdminUrl>().map(|url| url.to_string());
            assert_eq!(read.as_deref(), Ok(shown), "{written}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "",
            "http://",
            "ftp://a",
            "unix:",
            "http://a:b",
            "http://a:99999",
            "http://a/b",
            "[::1",
            "http://[x]:1",
            "http://user@host:1",
            "a b",
        ] {
            assert_eq!(wrong.parse::<AdminUrl>(), Err(InvalidUrl), "{wrong}");
        }
    }
}

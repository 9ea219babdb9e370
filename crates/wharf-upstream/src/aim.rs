//! [`aim`]: a request as the version of a connection wants it.

use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use http::{Method, Request, Uri, Version as HttpVersion};
use hyper::ext::Protocol;

use crate::address::{EndpointAddress, Scheme};
use crate::connect::Version;
use crate::options::SendOptions;

/// Makes a request fit for a connection to `address`: the target in the form of the version, and the
/// authority where the version has it. Doing it again, for the other version too, does no harm.
///
/// The authority is the request's own (`Host`, or that of its target); without one it is the endpoint's.
///
/// # Errors
///
/// What is wrong with the request.
pub(crate) fn aim<B>(
    request: &mut Request<B>,
    address: &EndpointAddress,
    version: Version,
    options: &SendOptions,
) -> Result<(), &'static str> {
    let authority = authority(request, address)?;
    let tunnel = request.method() == Method::CONNECT;
    let extended = request.extensions().get::<Protocol>().is_some();
    let path = request.uri().path_and_query().cloned();
    match version {
        Version::Http2 if options.upgrade => return Err("an upgrade needs HTTP/1"),
        Version::Http1 if extended => return Err("an extended CONNECT needs HTTP/2"),
        Version::Http1 => {
            *request.version_mut() = HttpVersion::HTTP_11;
            if request.headers().get_all(HOST).iter().count() != 1 {
                let host = HeaderValue::from_str(authority.as_str())
                    .map_err(|_| "its authority is not a host")?;
                request.headers_mut().insert(HOST, host);
            }
            *request.uri_mut() = if tunnel {
                Uri::from(authority)
            } else {
                path.unwrap_or(PathAndQuery::from_static("/")).into()
            };
        }
        Version::Http2 => {
            *request.version_mut() = HttpVersion::HTTP_2;
            request.headers_mut().remove(HOST);
            // hyper would take away whatever it names, and so `te: trailers`, which calls of gRPC need.
            request.headers_mut().remove(CONNECTION);
            let mut parts = http::uri::Parts::default();
            parts.authority = Some(authority);
            if !tunnel || extended {
                parts.scheme = Some(match address.scheme() {
                    Scheme::Https => UriScheme::HTTPS,
                    Scheme::Http | Scheme::H2c => UriScheme::HTTP,
                });
                parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
            }
            *request.uri_mut() =
                Uri::from_parts(parts).map_err(|_| "its target has no such form")?;
        }
    }
    Ok(())
}

fn authority<B>(
    request: &Request<B>,
    address: &EndpointAddress,
) -> Result<Authority, &'static str> {
    const BAD: &str = "its host is not an authority";
    if let Some(host) = request.headers().get(HOST) {
        return Authority::try_from(host.as_bytes()).map_err(|_| BAD);
    }
    match request.uri().authority() {
        Some(authority) => Ok(authority.clone()),
        None => Authority::try_from(address.authority()).map_err(|_| BAD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aimed(uri: &str, host: Option<&str>, version: Version) -> (String, Option<String>) {
        let address = "h2c://10.0.0.1:99".parse().unwrap();
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let mut request = request.body(()).unwrap();
        aim(&mut request, &address, version, &SendOptions::default()).unwrap();
        let host = request
            .headers()
            .get(HOST)
            .map(|it| it.to_str().unwrap().to_owned());
        (request.uri().to_string(), host)
    }

    #[test]
    fn http1_has_the_path_and_a_host() {
        let host = |it: &str| Some(it.to_owned());
        assert_eq!(
            aimed("/a?b", Some("x"), Version::Http1),
            ("/a?b".into(), host("x"))
        );
        assert_eq!(
            aimed("http://y/a", None, Version::Http1),
            ("/a".into(), host("y"))
        );
        assert_eq!(
            aimed("/", None, Version::Http1),
            ("/".into(), host("10.0.0.1:99"))
        );
    }

    #[test]
    fn http2_has_the_whole_target_and_no_host() {
        assert_eq!(
            aimed("/a?b", Some("x"), Version::Http2),
            ("http://x/a?b".into(), None)
        );
        assert_eq!(
            aimed("http://y/a", None, Version::Http2),
            ("http://y/a".into(), None)
        );
        assert_eq!(
            aimed("/", None, Version::Http2),
            ("http://10.0.0.1:99/".into(), None)
        );
    }

    #[test]
    fn te_goes_on_over_http2_without_the_connection_that_names_it() {
        let address = "h2c://10.0.0.1:99".parse().unwrap();
        let request = Request::builder().header("te", "trailers");
        let mut request = request.header("connection", "te").body(()).unwrap();
        aim(
            &mut request,
            &address,
            Version::Http2,
            &SendOptions::default(),
        )
        .unwrap();
        assert_eq!(request.headers()["te"], "trailers");
        assert!(!request.headers().contains_key("connection"));
    }

    #[test]
    fn aiming_again_at_the_other_version_keeps_the_target() {
        let address = "http://10.0.0.1:99".parse().unwrap();
        let mut request = Request::builder()
            .uri("/a")
            .header(HOST, "x")
            .body(())
            .unwrap();
        for version in [Version::Http1, Version::Http2, Version::Http1] {
            aim(&mut request, &address, version, &SendOptions::default()).unwrap();
        }
        assert_eq!(
            (request.uri().to_string().as_str(), &request.headers()[HOST]),
            ("/a", &HeaderValue::from_static("x"))
        );
    }
}

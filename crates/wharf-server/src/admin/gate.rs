//! Who may ask what: the `Host` rule, the bearer token, the header for writes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::Desk;
use super::fault::Fault;
use super::page;
use crate::config::{AdminAddress, AdminConfig};

/// A page on another site can neither send it nor learn that it must.
const WRITE_HEADER: &str = "x-wharf-admin";

/// How long a request may take to come and be answered; streams are only begun within it.
const LONGEST: Duration = Duration::from_secs(10);

/// Lets a request through or says why not, and adds what every answer carries.
pub(super) async fn gate(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let mut response = match admit(&desk.live.config().admin, &request) {
        Ok(()) => timeout(LONGEST, next.run(request))
            .await
            .unwrap_or_else(|_| {
                Fault::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the request did not come in time",
                )
                .into_response()
            }),
        Err(fault) => fault.into_response(),
    };
    let headers = response.headers_mut();
    let policy = HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if response.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

fn admit(access: &AdminConfig, request: &Request) -> Result<(), Fault> {
    let headers = request.headers();
    match &access.token {
        Some(token) => {
            // Probes carry no token, and the page's shell holds no secret.
            let path = request.uri().path();
            let public = matches!(path, "/live" | "/ready" | "/") || page::has(path);
            if !public && !bearer(headers).is_some_and(|offered| token.matches(offered)) {
                let detail = "this needs the header Authorization: Bearer with the admin token";
                return Err(Fault::new(StatusCode::UNAUTHORIZED, detail));
            }
        }
        None if matches!(access.settings.address, AdminAddress::Unix(_)) => {}
        None => {
            if !host(request).is_some_and(|host| is_ours(access, host)) {
                let detail =
                    "this host is not served: ask for localhost, or name it in allowed_hosts";
                return Err(Fault::new(StatusCode::FORBIDDEN, detail));
            }
        }
    }
    let writes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if writes && headers.get(WRITE_HEADER).is_none_or(|value| value != "1") {
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            "a write needs the header x-wharf-admin: 1",
        ));
    }
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .as_bytes()
        .split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// The host that the request is for, without its port.
fn host(request: &Request) -> Option<&str> {
    if let Some(host) = request.uri().host() {
        return Some(host.trim_matches(['[', ']']));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    if hosts.next().is_some() {
        return None;
    }
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(address, _)| address),
        None => host.split(':').next(),
    }
}

fn is_ours(access: &AdminConfig, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost"
        || host.parse().is_ok_and(loopback)
        || access.settings.allowed_hosts.0.contains(&host)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::config::Config;

    fn access(section: &str) -> AdminConfig {
        let listener = "[[listener]]\nname = 'a'\naddress = '[::1]:1'\nprotocols = ['http']";
        let file = format!("[admin]\n{section}\n{listener}");
        Config::parse(&file, std::path::Path::new("."))
            .unwrap()
            .admin
    }

    fn asked(access: &AdminConfig, method: &str, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let mut request = Request::builder().method(method).uri("/pools");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let refused = admit(access, &request.body(Body::empty()).unwrap()).err();
        refused.map(|fault| fault.into_response().status())
    }

    #[test]
    fn only_localhost_loopback_and_allowed_hosts_are_served() {
        let access = access("allowed_hosts = ['wharf.internal']");
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:9900",
            "127.9.9.9",
            "[::1]:80",
            "wharf.internal",
        ] {
            assert_eq!(asked(&access, "GET", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "127.0.0.1.evil:80",
        ] {
            let status = asked(&access, "GET", &[("host", host)]);
            assert_eq!(status, Some(StatusCode::FORBIDDEN), "{host}");
        }
        assert_eq!(asked(&access, "GET", &[]), Some(StatusCode::FORBIDDEN));
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(asked(&access, "GET", &two), Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn a_write_needs_its_header() {
        let access = access("");
        let host = ("host", "localhost");
        for method in ["POST", "PATCH", "DELETE", "PUT"] {
            assert_eq!(
                asked(&access, method, &[host]),
                Some(StatusCode::FORBIDDEN),
                "{method}"
            );
            assert_eq!(
                asked(&access, method, &[host, ("x-wharf-admin", "1")]),
                None,
                "{method}"
            );
        }
    }

    #[test]
    fn with_a_token_the_token_decides_and_not_the_host() {
        let folder = std::env::temp_dir().join(format!("wharf-gate-{}", std::process::id()));
        std::fs::write(&folder, "0123456789abcdef\n").unwrap();
        let access = access(&format!("token_file = {:?}", folder.display().to_string()));
        std::fs::remove_file(&folder).unwrap();
        let bearing = |value| asked(&access, "GET", &[("authorization", value)]);
        assert_eq!(bearing("Bearer 0123456789abcdef"), None);
        assert_eq!(bearing("bearer 0123456789abcdef"), None);
        for wrong in [
            "Bearer 0123456789abcdeF",
            "Bearer ",
            "Basic 0123456789abcdef",
            "",
        ] {
            assert_eq!(bearing(wrong), Some(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        assert_eq!(asked(&access, "GET", &[]), Some(StatusCode::UNAUTHORIZED));
        assert!(!format!("{access:?}").contains("0123456789abcdef"));
    }
}

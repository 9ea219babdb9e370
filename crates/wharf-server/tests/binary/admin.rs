//! The admin API: its shapes, its rules, and what it changes.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use wharf_testkit::http1::blocking::{answer, connect};

use crate::wharf::{Folder, Wharf, pause};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_pool_has_the_shape_that_is_promised() {
    let wharf = Wharf::serve("");
    assert_eq!(wharf.get("/hello").status, 200);
    let listed = wharf.admin("GET /pools");
    assert_eq!(listed.header("content-type"), Some("application/json"));
    let pool = &listed.json()["pools"][0];
    assert_eq!(
        keys(pool),
        [
            "config",
            "direction",
            "health",
            "listener",
            "metrics",
            "name",
            "protocol"
        ]
    );
    assert_eq!(
        keys(&pool["health"]),
        [
            "active_connections",
            "average_response_time_ms",
            "error_rate",
            "max_connections",
            "message",
            "rejected_connections",
            "status",
            "utilization_ratio"
        ]
    );
    let metrics = &pool["metrics"];
    for key in [
        "accepted",
        "closed_by_reason",
        "rejected_by_reason",
        "requests",
        "in_flight",
        "bytes_received",
        "bytes_sent",
        "connections_per_second",
        "uptime_ms",
    ] {
        assert!(metrics.get(key).is_some(), "{key}");
    }
    assert_eq!(
        keys(&metrics["performance"]),
        [
            "cpu_usage_percent",
            "latency",
            "memory_usage_bytes",
            "throughput"
        ]
    );
    assert_eq!(
        keys(&metrics["performance"]["latency"]),
        ["p50_ms", "p95_ms", "p99_ms"]
    );
    assert_eq!(metrics["requests"], 1);
    assert_eq!(pool["config"]["max_header_size"], "32KiB");
    assert_eq!(
        wharf.admin("GET /pools/web/http").json()["name"],
        "web/http"
    );
    assert_eq!(wharf.admin("GET /pools/web/grpc").status, 404);
}

#[test]
fn health_tells_true_figures_of_the_process() {
    let wharf = Wharf::serve("");
    let health = wharf.admin("GET /health").json();
    assert_eq!(
        (&health["status"], &health["state"]),
        (&json!("healthy"), &json!("serving"))
    );
    assert!(health["process"]["resident_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(health["process"]["open_descriptors"].as_u64().unwrap() > 5);
    assert!(health["process"]["threads"].as_u64().unwrap() >= 3);
    let listener = &health["listeners"][0];
    assert_eq!(
        (&listener["detecting"], &listener["refusing"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(wharf.admin("GET /live").json(), json!({ "live": true }));
    assert_eq!(
        wharf.admin("GET /ready").json(),
        json!({ "ready": true, "state": "serving" })
    );
}

#[test]
fn a_change_is_whole_and_answered_with_its_difference() {
    let wharf = Wharf::serve("");
    let patch =
        |body: &str| wharf.admin_with("PATCH /pools/web/http", "x-wharf-admin: 1\r\n", body);
    let done = patch(r#"{"max_connections": 5, "max_age": "1h"}"#);
    assert_eq!(done.status, 200, "{}", done.text());
    let first = &done.json()["diff"][0];
    assert_eq!(
        *first,
        json!({ "key": "max_connections", "old": "off", "new": 5, "effect": "now",
            "open_connections": "the new value holds for them too" })
    );
    let refused = patch(r#"{"max_connections": 9, "max_age": 7, "ping": 1}"#);
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.header("content-type"),
        Some("application/problem+json")
    );
    let errors = refused.json()["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 2, "{errors}");
    assert_eq!(keys(&errors[0]), ["key", "reason", "remedy"]);
    assert_eq!(
        wharf.admin("GET /pools/web/http").json()["config"]["max_connections"],
        5
    );
    assert_eq!(patch("{").status, 400);
    assert_eq!(patch("[]").status, 422);
    assert_eq!(patch(r#"{"max_age": "1h", "max_age": "2h"}"#).status, 400);
    assert_eq!(patch(&" ".repeat(1 << 20)).status, 413);
}

#[test]
fn a_connection_is_shown_found_and_closed() {
    let wharf = Wharf::serve("");
    let mut stream = connect(wharf.web);
    write!(
        stream,
        "GET /hello HTTP/1.1\r\nhost: a\r\nuser-agent: test\r\n\r\n"
    )
    .unwrap();
    let find = |query: &str| wharf.admin(&format!("GET /connections{query}")).json();
    while find("?state=idle")["connections"]
        .as_array()
        .unwrap()
        .is_empty()
    {
        pause(5);
    }
    let shown = find("?pool=web/http&peer=127.0.0.0/8&limit=1");
    let connection = &shown["connections"][0];
    assert_eq!(
        (&shown["truncated"], &connection["requests"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(
        (&connection["pool"], &connection["user_agent"]),
        (&json!("web/http"), &json!("test"))
    );
    assert_eq!(connection["peer"], stream.local_addr().unwrap().to_string());
    assert_eq!(find("?peer=10.0.0.1")["connections"], json!([]));
    assert_eq!(wharf.admin("GET /connections?color=red").status, 400);
    let id = connection["id"].as_str().unwrap();
    assert_eq!(
        wharf.admin(&format!("DELETE /connections/{id}")).status,
        202
    );
    assert_eq!(answer(&mut stream).status, 200);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    while wharf.admin("GET /pools/web/http").json()["metrics"]["closed_by_reason"]["admin"] != 1 {
        pause(5);
    }
    assert_eq!(
        wharf.admin(&format!("DELETE /connections/{id}")).status,
        404
    );
}

#[test]
fn who_may_not_ask_is_turned_away() {
    let wharf = Wharf::serve("");
    assert_eq!(
        wharf
            .admin_with("GET /pools", "host: evil.example\r\n", "")
            .status,
        403
    );
    assert_eq!(
        wharf
            .admin_with("GET /pools", "host: localhost:1\r\n", "")
            .status,
        200
    );
    assert_eq!(
        wharf.admin_with("PATCH /pools/web/http", "", "{}").status,
        403
    );
    let page = wharf.admin("GET /");
    assert_eq!(
        page.header("content-security-policy"),
        Some("default-src 'self'; frame-ancestors 'none'")
    );
    assert_eq!(wharf.admin("GET /../etc/passwd").status, 404);
}

#[test]
fn with_a_token_only_who_bears_it_may_ask() {
    let folder = Folder::new();
    folder.file("token", "a token of some length\n");
    let wharf = Wharf::serve_in(
        folder,
        "[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"",
    );
    let refused = wharf.admin("GET /pools");
    assert!(refused.status == 401 && refused.header("www-authenticate") == Some("Bearer"));
    assert_eq!(wharf.admin("GET /live").status, 200);
    let bearer = "authorization: Bearer a token of some length\r\n";
    assert_eq!(wharf.admin_with("GET /pools", bearer, "").status, 200);
}

#[test]
fn a_unix_socket_is_for_its_owner_and_outlives_a_crash() {
    let folder = Folder::new();
    let path = folder.path().join("wharf.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let _wharf = Wharf::serve_in(
        folder,
        &format!("[admin]\naddress = \"unix:{}\"", path.display()),
    );
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(path).unwrap();
    write!(
        stream,
        "GET /live HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    assert_eq!(answer(stream).status, 200);
}

#[test]
fn metrics_have_the_names_that_are_promised() {
    let wharf = Wharf::serve("");
    wharf.get("/hello");
    let metrics = wharf.admin("GET /metrics");
    let text = metrics.text();
    for name in [
        "wharf_connections_active{",
        "wharf_connections_accepted_total{",
        "wharf_connections_rejected_total{",
        "wharf_connections_closed_total{",
        "wharf_connection_duration_seconds_count{",
        "wharf_requests_total{",
        "wharf_requests_in_flight{",
        "wharf_request_duration_seconds_bucket{le=\"+Inf\"",
        "wharf_bytes_received_total{",
        "wharf_bytes_sent_total{",
        "wharf_pool_limit{",
        "wharf_pool_utilization_ratio{",
        "wharf_pool_status{",
        "wharf_tls_handshakes_active{",
        "wharf_events_dropped_total ",
        "wharf_requests_total{listener=\"web\",protocol=\"http\",status_class=\"2xx\"} 1\n",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name} in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn events_are_told_as_they_happen() {
    let wharf = Wharf::serve("");
    let mut stream = connect(wharf.admin.parse().unwrap());
    write!(stream, "GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut seen = String::new();
    let mut read_until = |wanted: &str| {
        while !seen.contains(wanted) {
            let mut bytes = [0; 1024];
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    };
    read_until("text/event-stream");
    wharf.get("/hello");
    read_until("event: connection_added");
    read_until("event: connection_removed");
}

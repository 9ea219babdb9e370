//! What stands on the screen.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::*;
use crate::top::feed::{Figures, Told};
use crate::top::words;

fn figures(user_agent: &str) -> Told {
    let pool = |name: &str, active: f64, status: &str| {
        json!({
            "name": name,
            "health": { "status": status, "utilization_ratio": active * 0.01, "rejected_connections": 7,
                        "active_connections": words::whole(active), "max_connections": 100, "message": "serving" },
            "metrics": { "accepted": words::whole(active), "in_flight": 2, "performance": {
                "throughput": 12.5, "latency": { "p50_ms": 0.5, "p95_ms": 2.0, "p99_ms": 1500.0 } } },
        })
    };
    Told::Figures(Box::new(Figures {
        health: json!({
            "status": "overloaded", "state": "serving", "version": "0.1.0", "uptime_ms": 65_000,
            "active_connections": 1234, "max_connections": 15_000, "process": { "resident_bytes": 1 << 20 },
            "pools": [{ "name": "web/http", "status": "overloaded", "message": "overloaded because of connections" }],
        }),
        pools: json!({ "pools": [pool("web/http", 96.0, "overloaded"), pool("tls/https", 3.0, "healthy")] }),
        connections: json!({
            "total": 99, "truncated": true,
            "connections": [{ "id": "1", "peer": "192.0.2.1:4711", "pool": "web/http", "state": "active",
                              "age_ms": 61_000, "requests": 1000, "in_flight": 1, "user_agent": user_agent }],
        }),
        past: json!({ "at_ms": [5000], "active_connections": [3], "pools": [] }),
    }))
}

fn drawn(width: u16, height: u16, told: Vec<Told>) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let (mut sight, mut view) = (Sight::default(), View::default());
    for news in told {
        sight.take(news);
    }
    terminal
        .draw(|frame| draw(frame, &sight, &mut view))
        .unwrap();
    terminal.backend().to_string()
}

fn event(event: Value) -> Told {
    Told::Event(event)
}

#[test]
fn everything_is_on_a_screen_of_ordinary_size() {
    let limit = json!({ "id": "e-1", "event": "pool_limit_reached", "at_ms": 60_000, "pool": "web/http", "reason": "rate", "rejected": 5 });
    let screen = drawn(140, 40, vec![figures("curl/8"), event(limit)]);
    for words in [
        "● overloaded",
        "because of connections in web/http",
        "up 1 min 05 s",
        "1,234 of 15,000",
        "25.0",
        "1.5 s",
        "● web/http",
        "96 / 100",
        "1 of 2 not healthy",
        "192.0.2.1:4711",
        "curl/8",
        "99, most age first",
        "pool_limit_reached",
        "reason rate",
        "q leave",
    ] {
        assert!(screen.contains(words), "{words} in\n{screen}");
    }
}

#[test]
fn any_size_is_drawn() {
    for (width, height) in [(1, 1), (20, 5), (50, 12), (80, 24), (60, 100), (300, 12)] {
        let screen = drawn(width, height, vec![figures("curl/8")]);
        assert!(
            width < 50 || height < 12 || screen.contains("wharf"),
            "{width} {height}\n{screen}"
        );
    }
}

#[test]
fn a_narrow_screen_has_fewer_columns_and_not_narrower_ones() {
    let screen = drawn(80, 24, vec![figures("curl/8")]);
    for words in ["192.0.2.1:4711", "web/http", "96 / 100", "1.5 s", "1,000"] {
        assert!(screen.contains(words), "{words} in\n{screen}");
    }
    assert!(
        !screen.contains("curl/8") && !screen.contains("p95"),
        "{screen}"
    );
}

#[test]
fn what_a_peer_sent_is_shown_and_not_obeyed() {
    let screen = drawn(
        180,
        40,
        vec![figures("\x1b[2J\x1b]0;owned\x07\u{202e}evil")],
    );
    assert!(!screen.contains('\x1b') && !screen.contains('\u{202e}'));
    assert!(screen.contains(r"\u001b[2J"), "{screen}");
}

#[test]
fn a_server_that_is_gone_is_said_to_be() {
    let screen = drawn(
        120,
        30,
        vec![figures("curl/8"), Told::Fault(crate::top::AskError::Late)],
    );
    assert!(
        screen.contains("no answer: no answer in 5 s") && screen.contains("192.0.2.1"),
        "{screen}"
    );
}

#[test]
fn a_gauge_is_as_full_as_the_pool() {
    let bar = |ratio: f64| {
        pools::gauge(ratio, ratio)
            .to_string()
            .trim_end_matches('·')
            .to_owned()
    };
    assert_eq!(bar(0.0), "");
    assert_eq!(bar(0.000_01), "▏");
    assert_eq!(bar(0.5), "█".repeat(10));
    assert_eq!(bar(1.0), "█".repeat(20));
    assert_eq!(bar(7.0), "█".repeat(20));
}

"""The doors for operators: shapes, who may do what, and that they answer when nothing else does."""

import json
import re
import time

import pytest

from harness import Events, Peer, connect_many, eventually, get

POOL = {"name", "direction", "listener", "protocol", "config", "health", "metrics"}
HEALTH = {
    "status", "utilization_ratio", "active_connections", "max_connections", "rejected_connections",
    "average_response_time_ms", "error_rate", "message",
}
METRICS = {
    "accepted", "closed_by_reason", "rejected_by_reason", "requests", "in_flight", "bytes_received",
    "bytes_sent", "connections_per_second", "performance", "uptime_ms",
}
PERFORMANCE = {"throughput", "latency", "memory_usage_bytes", "cpu_usage_percent"}
FAMILIES = {
    "wharf_connections_active", "wharf_connections_accepted_total",
    "wharf_connections_rejected_total", "wharf_connections_closed_total",
    "wharf_requests_total", "wharf_requests_in_flight", "wharf_bytes_received_total",
    "wharf_bytes_sent_total", "wharf_pool_limit", "wharf_pool_utilization_ratio",
    "wharf_pool_status", "wharf_events_dropped_total",
}
LABELS = {
    "listener", "protocol", "reason", "status_class", "upstream", "endpoint", "le", "quantile",
    "status", "result",
}


def test_live_and_ready_say_so(serve):
    with serve() as server:
        assert server.ask("/live")[0] == 200
        assert server.ask("/ready")[0] == 200


def test_a_pool_has_the_shape_of_the_contract(serve):
    with serve({"max_connections": 10, "keep_alive_timeout": "65s"}) as server:
        with Peer(server.address) as peer:
            for _ in range(3):
                assert peer.request().status == 200
            (pool,) = server.json("/pools")["pools"]
            assert set(pool) >= POOL
            assert set(pool["health"]) >= HEALTH
            assert set(pool["metrics"]) >= METRICS
            assert set(pool["metrics"]["performance"]) >= PERFORMANCE
            assert set(pool["metrics"]["performance"]["latency"]) >= {"p50_ms", "p95_ms", "p99_ms"}
            assert (pool["name"], pool["listener"], pool["protocol"]) == ("web/http", "web", "http")
            assert pool["config"]["max_connections"] == 10
            assert pool["config"]["keep_alive_timeout"] in ("65s", "1m 5s", "1m5s")
            health, metrics = pool["health"], pool["metrics"]
            assert (health["active_connections"], health["max_connections"]) == (1, 10)
            assert health["utilization_ratio"] == pytest.approx(0.1)
            assert (metrics["accepted"], metrics["requests"], metrics["in_flight"]) == (1, 3, 0)
            assert metrics["bytes_sent"] > 3 * 13 and metrics["bytes_received"] > 3 * 30
            assert 0 <= health["error_rate"] <= 1 and health["status"] == "healthy"
        assert eventually(lambda: server.json("/pools/web/http")["metrics"]["closed_by_reason"])
        assert server.json("/pools/web/http")["metrics"]["closed_by_reason"]["client_closed"] == 1


def test_health_names_the_process_and_its_pools(serve):
    with serve() as server:
        health = server.json("/health")
        assert "status" in health
        text = json.dumps(health)
        assert "web/http" in text or "pools" in health
        assert re.search(r'"\w*(memory|resident)\w*"', text) and "cpu" in text


def test_connections_are_listed_with_string_ids_and_can_be_closed(serve):
    with serve() as server, Peer(server.address) as idle, Peer(server.address) as busy:
        assert idle.request(headers="User-Agent: tester/1\r\n").status == 200
        busy.send(get("/slow?ms=5000"))
        eventually(lambda: server.in_flight() == 1)
        listed = server.json("/connections")
        assert listed["truncated"] is False
        by_peer = {entry["peer"]: entry for entry in listed["connections"]}
        assert len(by_peer) == 2
        mine = by_peer["%s:%d" % idle.socket.getsockname()]
        assert all(isinstance(entry["id"], str) and entry["id"] for entry in by_peer.values())
        assert "tester/1" in json.dumps(mine) and "web/http" in json.dumps(mine)
        assert len(server.json("/connections?pool=web/http")["connections"]) == 2
        assert len(server.json("/connections?peer=127.0.0.1")["connections"]) == 2
        assert server.json("/connections?peer=127.0.0.99")["connections"] == []
        limited = server.json("/connections?limit=1")
        assert len(limited["connections"]) == 1 and limited["truncated"] is True

        path = f"/connections/{mine['id']}"
        assert server.ask(path, "DELETE")[0] == 403
        with server.expecting(closed={"admin": 1}, line=False):
            assert server.write(path, "DELETE")[0] in (200, 202, 204)
            assert idle.closed(2)
            assert eventually(lambda: server.write(path, "DELETE")[0] == 404)
            again = Peer(server.address)
            assert again.request().status == 200
        fresh = server.json("/connections")["connections"]
        assert mine["id"] not in {entry["id"] for entry in fresh}, "an id came back"
        again.close()


def test_connections_by_state(serve):
    with serve() as server, Peer(server.address) as idle, Peer(server.address) as busy:
        assert idle.request().status == 200
        busy.send(get("/slow?ms=5000"))
        eventually(lambda: server.in_flight() == 1)
        (entry,) = server.json("/connections?state=idle")["connections"]
        assert entry["peer"] == "%s:%d" % idle.socket.getsockname()


def test_metrics_have_the_names_and_only_the_labels_of_the_contract(serve):
    with serve({"max_connections": 10}) as server:
        with Peer(server.address) as peer:
            assert peer.request().status == 200
        eventually(lambda: server.active() == 0)
        metrics = server.metrics()
        assert metrics.names() >= FAMILIES
        assert any(name.startswith("wharf_request_duration_seconds") for name in metrics.names())
        assert any(name.startswith("wharf_connection_duration_seconds") for name in metrics.names())
        assert {key for _, labels, _ in metrics.samples for key in labels} <= LABELS
        assert all(value == value and value >= 0 for _, _, value in metrics.samples)
        assert metrics.total("wharf_requests_total", listener="web", protocol="http") == 1
        assert metrics.total("wharf_requests_total", status_class="2xx") == 1
        assert metrics.total("wharf_connections_closed_total", reason="client_closed") == 1
        assert metrics.total("wharf_pool_limit") == 10
        status, headers, _ = server.ask("/metrics")
        assert headers["content-type"].startswith(("text/plain", "application/openmetrics-text"))


def test_nothing_is_written_without_the_header(serve):
    with serve() as server:
        for path, method in (("/drain", "POST"), ("/pools/web/http", "PATCH"),
                             ("/connections/1", "DELETE")):
            for headers in ({}, {"x-wharf-admin": "0"}, {"x-wharf-admin": ""}):
                assert server.ask(path, method, headers, b"{}")[0] == 403, (path, headers)
        assert server.ask("/ready")[0] == 200


@pytest.mark.parametrize("host, status", [
    ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("localhost.evil.example", 403),
    ("192.168.1.1", 403), ("", 403), ("0.0.0.0", 403), ("localhost", 200),
    ("localhost:1", 200), ("127.0.0.1", 200), ("127.9.9.9:80", 200), ("[::1]:9900", 200),
    ("LOCALHOST", 200), ("ops.internal", 200),
])
def test_who_is_asked_for_must_be_a_loopback_name(serve, host, status):
    with serve(admin={"allowed_hosts": ["ops.internal"]}) as server:
        for path in ("/pools", "/metrics", "/"):
            got = server.ask(path, headers={"Host": host})[0]
            # An empty Host is wrong before it is foreign.
            assert got == status or (host == "" and got == 400), (path, got)


def test_errors_are_problems_by_rfc_9457(serve):
    with serve() as server:
        for path, method, wanted in (("/nowhere", "GET", 404), ("/pools/web/nothing", "GET", 404),
                                     ("/pools", "DELETE", 405), ("/drain", "GET", 405)):
            status, headers, body = server.write(path, method)
            assert status == wanted, (path, method, status)
            assert headers["content-type"].startswith("application/problem+json")
            problem = json.loads(body)
            assert problem["status"] == wanted and problem["title"]


def test_a_pool_can_be_changed_and_every_mistake_is_told(serve):
    with serve({"keep_alive_timeout": "60s"}) as server, Peer(server.address) as idle:
        assert idle.request().status == 200
        change = {"keep_alive_timeout": "1s", "max_connections": 7}
        status, _, body = server.write("/pools/web/http", "PATCH", change)
        assert status == 200, body
        assert b"keep_alive_timeout" in body and b"max_connections" in body
        assert server.json("/pools/web/http")["config"]["max_connections"] == 7
        # It reaches a connection that was idle already.
        closed = idle.closed(3)
        assert closed.at - idle.opened < 2.5

        wrong = {"keep_alive_timeout": 5, "max_conections": 7, "when_full": "explode",
                 "max_connections": 9}
        status, headers, body = server.write("/pools/web/http", "PATCH", wrong)
        assert status == 422 and headers["content-type"].startswith("application/problem+json")
        errors = {error["key"].split(".")[-1]: error for error in json.loads(body)["errors"]}
        assert set(errors) == {"keep_alive_timeout", "max_conections", "when_full"}
        assert "max_connections" in errors["max_conections"]["remedy"]
        assert all(error["reason"] and error["remedy"] for error in errors.values())
        assert server.json("/pools/web/http")["config"]["max_connections"] == 7, "half of it applied"


RUBBISH = {
    "nothing": b"", "half an object": b"{", "half a key": b"{\"a\":", "a list": b"[]", "null": b"null",
    "no UTF-8": b"\xff", "too much": b"x" * 200_000, "very deep": b"[" * 50_000,
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_changes_nothing(serve, name):
    body = RUBBISH[name]
    with serve() as server:
        before = server.json("/pools/web/http")["config"]
        status, _, answer = server.write("/pools/web/http", "PATCH", body)
        assert 400 <= status < 500, answer
        assert server.json("/pools/web/http")["config"] == before


def test_the_page_and_its_policy(serve):
    with serve() as server:
        status, headers, body = server.ask("/")
        assert status == 200 and headers["content-type"].startswith("text/html")
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy


def test_it_answers_while_every_slot_is_taken(serve):
    with serve(limits={"max_connections": 20}) as server:
        with connect_many(server.address, 100) as crowd:
            crowd.serve(0.5)
            for path in ("/live", "/ready", "/health", "/pools", "/connections", "/config", "/metrics"):
                began = time.monotonic()
                assert server.ask(path)[0] in (200, 503)
                assert time.monotonic() - began < 0.1, path


def test_it_answers_while_every_worker_is_blocked(serve):
    with serve(server={"workers": 1}) as server:
        with Peer(server.address) as blocker:
            blocker.send(get("/block?ms=5000"))
            time.sleep(0.2)
            until = time.monotonic() + 4
            while time.monotonic() < until:
                for path in ("/live", "/health", "/pools", "/config", "/metrics"):
                    began = time.monotonic()
                    assert server.ask(path)[0] == 200
                    assert time.monotonic() - began < 0.1, path
                time.sleep(0.2)
            assert server.in_flight() == 1, "nothing was blocked"


def test_events_are_told_as_they_happen(serve):
    with serve({"connection_timeout": "1s"}) as server, Events(server.admin) as events:
        assert events.status == 200 and b"text/event-stream" in events.text
        with Peer(server.address) as silent:
            assert eventually(lambda: events.of("connection_added"))
            silent.closed(3)
        assert eventually(lambda: events.of("connection_removed"))
        for kind in ("connection_added", "connection_timeout", "connection_removed"):
            (event,) = events.of(kind)
            assert event["pool"] == "web/http" and isinstance(event["connection"], str)
        (ended,) = events.of("connection_removed")
        assert (ended["reason"], ended["requests"]) == ("connection_timeout", 0)
        assert 1000 <= ended["age_ms"] <= 2000


def test_refusals_and_changes_are_events(serve):
    with serve({"max_connections": 1, "when_full": "refuse"}) as server:
        with Events(server.admin) as events, Peer(server.address) as holder:
            assert holder.request().status == 200
            for _ in range(5):
                with Peer(server.address) as refused:
                    assert refused.response().status == 503
            reached = eventually(lambda: events.of("pool_limit_reached"))
            assert reached[0]["reason"] == "pool_limit" and len(reached) <= 2
            assert server.write("/pools/web/http", "PATCH", {"max_connections": 5})[0] == 200
            (changed,) = eventually(lambda: events.of("config_changed"))
            assert [entry["key"] for entry in changed["diff"]] == ["max_connections"]


def test_the_health_of_a_full_pool_is_not_healthy(serve):
    with serve({"max_connections": 10, "when_full": "refuse"}) as server:
        peers = [Peer(server.address) for _ in range(10)]
        assert all(peer.request().status == 200 for peer in peers)

        def unwell():
            health = server.json("/pools/web/http")["health"]
            return health["status"] != "healthy" and health["message"]

        assert eventually(unwell, 20.0, every=0.2)
        for peer in peers:
            peer.close()

"""Who may come in by the doors for operators, over what, and what is never told."""

import http.client
import json
import os
import ssl
import time

import pytest

from harness import Peer, Probe, StartFailed, connect_many, eventually, get, tls_client
from harness.peer import request

TOKEN = "correct-horse-battery-staple"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def secret(folder, text=TOKEN, name="admin.token"):
    (folder / name).write_text(text + "\n")
    return name


def over_tls(server, path="/pools", context=None, headers=None, method="GET"):
    """A request to the admin API over TLS; status, body, and the serial that was shown."""
    connection = http.client.HTTPSConnection(*server.admin, timeout=5, context=context or tls_client())
    try:
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True)
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read(), shown
    finally:
        connection.close()


@pytest.fixture
def serve_secured(serve, tmp_path, authority):
    """A server whose admin API speaks TLS; readiness is asked over TLS too."""

    def start(admin=None, **more):
        pair = authority.issue("localhost", "127.0.0.1")
        keys = pair.write(tmp_path, "admin")
        server = serve(admin={"tls": keys} | (admin or {}), **more)
        server.pair = pair
        server.ask = lambda path, method="GET", headers=None, body=None, within=5.0: (
            over_tls(server, path, headers=headers, method=method)[0], {},
            over_tls(server, path, headers=headers, method=method)[1])
        return server

    return start


def test_over_tls_it_is_the_same_api_and_in_plain_it_is_none(serve_secured, authority):
    with serve_secured() as server:
        status, body, shown = over_tls(server, context=tls_client(trust=authority))
        assert status == 200 and json.loads(body)["pools"]
        assert shown == ssl.PEM_cert_to_DER_cert(server.pair.chain_pem().decode())
        with Peer(server.admin) as plain:
            plain.send("GET /pools HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"pools" not in plain.closed(5).received
        assert over_tls(server, headers={"host": "evil.example"})[0] == 403
        assert '"address":"https://' in server.errors()


def test_its_certificate_changes_for_who_comes_after_a_reload(serve_secured, authority, tmp_path):
    with serve_secured() as server:
        before = over_tls(server)[2]
        authority.issue("localhost").write(tmp_path, "admin")
        status, body, _ = over_tls(server, "/reload", headers={"x-wharf-admin": "1"}, method="POST")
        (change,) = json.loads(body)["diff"]
        assert status == 200 and (change["key"], change["effect"]) == ("admin.tls", "next_connection")
        assert over_tls(server)[2] != before
        # A broken one is refused, and the old one goes on.
        (tmp_path / "admin.crt").write_text("nothing")
        status, body, _ = over_tls(server, "/reload", headers={"x-wharf-admin": "1"}, method="POST")
        assert status == 422 and json.loads(body)["errors"][0]["key"] == "admin.tls.certificate"
        assert over_tls(server)[0] == 200


def test_with_a_ca_only_known_clients_are_let_in(serve_secured, authority, tmp_path):
    (tmp_path / "ca.crt").write_bytes(authority.chain_pem())
    known = authority.issue("alice", client=True).write(tmp_path, "alice")
    known = tls_client(identity=(tmp_path / known["certificate"], tmp_path / known["key"]))
    with serve_secured() as server:
        text = server.file.read_text()
        new = server.file.with_name("new")
        new.write_text(text.replace('key = "admin.key"', 'key = "admin.key", client_ca = "ca.crt"'))
        os.replace(new, server.file)
        assert over_tls(server, "/reload", headers={"x-wharf-admin": "1"}, method="POST")[0] == 200
        assert over_tls(server, context=known)[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            over_tls(server)


def test_who_says_nothing_in_its_handshake_keeps_nobody_out(serve_secured):
    with serve_secured() as server:
        silent = [Peer(server.admin) for _ in range(100)]
        for _ in range(10):
            began = time.monotonic()
            assert over_tls(server)[0] == 200
            assert time.monotonic() - began < 0.3
        for peer in silent:
            peer.close()


def test_off_loopback_it_does_not_start_without_a_token(serve):
    with pytest.raises(StartFailed) as failed:
        with serve(admin={"address": "0.0.0.0:9900"}):
            pass
    assert failed.value.code == 1 and "admin.token_file" in failed.value.errors


READS = ["/health", "/pools", "/pools/web/http", "/connections", "/events", "/config",
         "/config/history", "/metrics", "/openapi.json"]


@pytest.mark.parametrize("headers", [
    {}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"},
    {"authorization": f"Bearer {TOKEN}x"}, {"authorization": "Bearer "}, {"authorization": TOKEN},
], ids=["none", "wrong", "basic", "longer", "empty", "bare"])
def test_with_a_token_reads_need_it_too(serve, tmp_path, headers):
    with serve(admin={"token_file": secret(tmp_path)}) as server:
        for path in READS:
            status, got, _ = server.ask(path, headers=headers)
            assert status == 401 and got["www-authenticate"] == "Bearer", path
        for path in ("/live", "/ready", "/"):
            assert server.ask(path, headers=headers)[0] == 200, path
        # With it any Host goes: names are no defence of ours then.
        assert server.ask("/pools", headers=BEARER | {"host": "ops.example"})[0] == 200
        assert server.ask("/reload", "POST", BEARER)[0] == 403
        assert server.ask("/reload", "POST", BEARER | {"x-wharf-admin": "1"})[0] == 200


def test_the_token_may_come_from_the_environment(serve, monkeypatch):
    monkeypatch.setenv("WHARF_ADMIN_TOKEN", TOKEN)
    with serve(admin={"token_file": "env:WHARF_ADMIN_TOKEN"}) as server:
        assert server.ask("/pools")[0] == 401
        assert server.ask("/pools", headers=BEARER)[0] == 200
        _, _, body = server.ask("/config", headers=BEARER)
        assert TOKEN.encode() not in body and b"env:WHARF_ADMIN_TOKEN" in body


def test_no_secret_is_in_any_answer_or_line(serve, tmp_path, authority):
    pair = authority.issue("localhost")
    keys = pair.write(tmp_path)
    listener = {"protocols": ["https"], "tls": keys}
    with serve(listener=listener, admin={"token_file": secret(tmp_path)}, log={"level": "debug"}) as server:
        told = b""
        for path in READS:
            if path != "/events":
                told += server.ask(path, headers=BEARER)[2]
        (tmp_path / "admin.token").write_text("short")
        told += server.ask("/reload", "POST", BEARER | {"x-wharf-admin": "1"})[2]
        secret(tmp_path, "another-horse-battery-staple")
        told += server.ask("/reload", "POST", BEARER | {"x-wharf-admin": "1"})[2]
        server.ask("/pools", headers={"authorization": "Bearer guess-of-somebody-else"})
        told += server.stdout.read_bytes() + server.stderr.read_bytes()
        key = pair.key_pem().splitlines()[1]
        for hidden in (TOKEN.encode(), b"another-horse", b"guess-of-somebody", key):
            assert hidden not in told, hidden


CROSS_SITE = [
    {"content-type": "application/x-www-form-urlencoded"},
    {"content-type": "text/plain", "origin": "https://evil.example"},
    {"content-type": "multipart/form-data; boundary=x", "sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_a_form_of_another_site_changes_nothing(serve, headers):
    with serve({"max_connections": 7}) as server:
        for path, method in (("/drain", "POST"), ("/reload", "POST"), ("/pools/web/http", "PATCH"),
                             ("/connections/1", "DELETE")):
            status, got, _ = server.ask(path, method, headers, b"max_connections=1")
            assert status == 403, (path, status)
            assert "access-control-allow-origin" not in {name.lower() for name in got}
        # Nor may it ask whether it may.
        status, got, _ = server.ask("/reload", "OPTIONS", headers | {
            "access-control-request-method": "POST", "access-control-request-headers": "x-wharf-admin"})
        assert status in (403, 405)
        assert "access-control-allow-headers" not in {name.lower() for name in got}
        assert server.json("/pools/web/http")["config"]["max_connections"] == 7
        assert server.ask("/ready")[0] == 200


def test_no_answer_may_be_framed(serve):
    with serve() as server:
        for path in ("/", "/pools", "/nothing", "/openapi.json"):
            _, headers, _ = server.ask(path)
            policy = headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy and "default-src 'self'" in policy, path
            assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.heavy
def test_it_answers_while_an_attack_runs(serve):
    pool = {"max_connections": 200, "connection_timeout": "60s"}
    with serve(pool, log={"access": False}) as server:
        crowds = [connect_many(server.address, 600, first) for first in (
            b"", b"GET /hello HTTP/1.1\r\nHost: a\r\nX-A: b", get("/slow?ms=1000"))]
        try:
            slowest = {}
            until = time.monotonic() + 4
            while time.monotonic() < until:
                for path in ("/live", "/ready", "/health", "/pools", "/connections", "/config", "/metrics"):
                    began = time.monotonic()
                    assert server.ask(path)[0] in (200, 503), path
                    slowest[path] = max(slowest.get(path, 0), time.monotonic() - began)
                for crowd in crowds:
                    crowd.serve(0.02)
            assert max(slowest.values()) < 0.1, slowest
        finally:
            for crowd in crowds:
                crowd.__exit__()
        assert eventually(lambda: server.active() == 0, 5.0)


def test_slow_and_large_clients_of_it_keep_nobody_out(serve):
    with serve() as server, Probe(server):
        slow = [Peer(server.admin) for _ in range(60)]
        for peer in slow:
            peer.send("GET /pools HTTP/1.1\r\nHost: local")
        large = Peer(server.admin)
        large.send(request("/pools/web/http", "PATCH", "x-wharf-admin: 1\r\n", b"{")[:-1])
        for _ in range(20):
            began = time.monotonic()
            assert server.ask("/pools", within=1.0)[0] == 200
            assert time.monotonic() - began < 0.1
        for peer in [*slow, large]:
            peer.close()

"""The dashboard in a real browser: it says what the API says, and obeys nobody but who looks at it."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import (
    Peer, TlsPeer, Upstream, Ws, connect_many, cpu_seconds, eventually, gateway, get, free_port,
)
from harness.tls import client_hello

HERE = Path(__file__).resolve().parent
CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
PLAYWRIGHT = "playwright-core@1.65.1"


@pytest.fixture(scope="module")
def modules():
    """Where playwright-core is; it is installed beside the virtual environment's packages once."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is not there: install chromium, or set CHROMIUM")
    folder = HERE / ".venv" / "browser"
    if not (folder / "node_modules" / "playwright-core").exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder, PLAYWRIGHT]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if ran.returncode:
            pytest.skip(f"playwright-core cannot be installed: {ran.stderr[-200:]}")
    return folder


def command(modules, scene, server, wanted):
    script = HERE / "dashboard" / "scenes.mjs"
    url = "http://%s:%d/" % server.admin
    return ["node", script, modules, scene, url, json.dumps(wanted)]


@pytest.fixture
def play(modules):
    """Plays a scene; returns what was seen. The page has complained about nothing."""
    def play(scene, server, within=60.0, **wanted):
        ran = subprocess.run(command(modules, scene, server, wanted), capture_output=True, text=True,
                             timeout=within, check=False)
        assert ran.returncode == 0, ran.stderr[-3000:]
        seen = json.loads(ran.stdout.splitlines()[-1])
        assert seen.pop("complaints") == []
        return seen
    return play


def test_its_parts_are_served_with_their_types_and_its_policy(serve):
    with serve() as server:
        for path, kind in (("/", "text/html"), ("/dashboard/app.js", "text/javascript"),
                           ("/dashboard/style.css", "text/css"), ("/dashboard/icon.svg", "image/svg+xml")):
            status, headers, _ = server.ask(path)
            assert status == 200 and headers["content-type"].startswith(kind), path
            assert headers["content-security-policy"] == "default-src 'self'; frame-ancestors 'none'"
            assert headers["x-content-type-options"] == "nosniff"
        for path in ("/dashboard/", "/dashboard/nothing.js", "/dashboard/..%2fadmin.rs", "/dashboard"):
            assert server.ask(path)[0] == 404, path


def test_the_last_ten_minutes_are_told_in_columns_and_on_request_only_what_is_new(serve):
    with serve({"max_connections": 1, "when_full": "refuse"}) as server, Peer(server.address) as peer:
        assert peer.request().status == 200
        with Peer(server.address) as refused:
            assert refused.response().status == 503
        past = eventually(lambda: (p := server.json("/pools/history"))["at_ms"] and p, 12.0, every=0.5)
        (pool,) = past["pools"]
        length = len(past["at_ms"])
        assert pool["active_connections"][-1] == past["active_connections"][-1] == 1
        assert sum(pool["rejected_by_reason"]["pool_limit"]) == 1
        assert sum(pool["requests_per_second"]) * 5 == pytest.approx(1, abs=0.2)
        columns = [c for c in pool.values() if isinstance(c, list)] + [past["resident_bytes"]]
        assert all(len(column) == length for column in columns)
        newer = server.json(f"/pools/history?since={past['at_ms'][-1]}")
        assert newer["at_ms"] == [] or newer["at_ms"][0] > past["at_ms"][-1]
        assert server.ask("/pools/history?since=never")[0] == 400


def test_connections_are_sorted_by_what_is_asked_for(serve):
    with serve() as server:
        peers = [Peer(server.address) for _ in range(5)]
        for n, peer in enumerate(peers):
            assert all(peer.request().status == 200 for _ in range(n + 1))
        busiest = server.json("/connections?sort=-requests&limit=2")
        assert [it["requests"] for it in busiest["connections"]] == [5, 4]
        assert (busiest["total"], busiest["truncated"]) == (5, True)
        oldest = server.json("/connections?sort=-age_ms")["connections"]
        assert [it["age_ms"] for it in oldest] == sorted((it["age_ms"] for it in oldest), reverse=True)
        assert [it["requests"] for it in server.json("/connections?sort=requests")["connections"]] == [1, 2, 3, 4, 5]
        status, _, body = server.ask("/connections?sort=user_agent")
        assert status == 400 and b"-age_ms" in body
        for peer in peers:
            peer.close()


def test_the_numbers_are_those_of_the_api(serve, play):
    with serve({"max_connections": 40}) as server:
        peers = [Peer(server.address) for _ in range(12)]
        for peer in peers:
            assert peer.request(headers="User-Agent: tester/1\r\n").status == 200
        time.sleep(11)  # For a past of two samples.
        seen = play("numbers", server)
        (pool,) = server.json("/pools")["pools"]
        assert seen["status"].split() == ["healthy", "serving", "with", "room", "to", "spare"]
        assert seen["tiles"][0] == "12" and seen["tiles"][3] == "0in 10 min"
        (row,) = seen["pools"]
        assert "12 / 40" in row and "http" in row
        assert pool["health"]["active_connections"] == 12
        assert len(seen["connections"]) == 12 and seen["note"] == "12"
        for peer in peers:
            (line,) = [it for it in seen["connections"] if "%s:%d" % peer.socket.getsockname() in it]
            assert "web/http" in line and "idle" in line and "tester/1" in line
        assert seen["curves"] >= 2, "a fresh page has no past"
        assert 10_000 < seen["bytes"] < 200_000 and seen["elsewhere"] == []
        for peer in peers:
            peer.close()


def test_upstreams_stand_among_the_pools_with_their_endpoints(serve, play):
    with Upstream() as upstream, serve(more=gateway(upstream)) as server, Peer(server.address) as peer:
        assert peer.request().status == 200
        seen = play("numbers", server)
        assert len(seen["pools"]) == 2 and seen["status"].startswith("healthy")
        assert any("2 / ∞" in row for row in seen["pools"]), seen["pools"]
        assert "upstream, 1 endpoint" in seen["addresses"]
        [endpoint] = server.json("/pools/api/http")["endpoints"]
        [row] = [line.split() for line in seen["endpoints"]]
        shown = [endpoint[key] for key in ("address", "state", "weight", "in_flight", "active_connections",
                                           "idle_connections", "waiting")]
        assert row[:7] == list(map(str, shown)) and row[-1] == str(endpoint["failures"])
        assert row[0] == upstream.url and row[1] == "ready"


def test_nothing_that_a_source_of_endpoints_says_is_markup(serve, play, tmp_path):
    evil = '<img src=x onerror=alert(1)>\u202e'
    (tmp_path / "endpoints.toml").write_text(f'endpoints = ["{evil}"]\n')
    more = gateway("http://127.0.0.1:9", sections='[upstream.discovery.file]\npath = "endpoints.toml"\n')
    with serve(more=more) as server, Peer(server.address) as peer:
        assert peer.request().status == 502
        seen = play("numbers", server)
        [said] = [line for line in seen["sources"] if line]
        assert said.startswith("file is waiting: ") and "<img src=x onerror=alert(1)>" in said
        assert "\u202e" not in said
        assert "upstream, 0 endpoints by file" in seen["addresses"]


def test_the_table_is_sorted_and_narrowed_and_says_what_it_cannot_do(serve, play):
    with serve() as server:
        peers = [Peer(server.address) for _ in range(5)]
        for n, peer in enumerate(peers):
            assert all(peer.request().status == 200 for _ in range(n + 1))
        seen = play("table", server, peer="%s:%d" % peers[0].socket.getsockname())
        assert seen["most"] == ["5", "4", "3", "2", "1"]
        assert "10.0.0.0/8" in seen["fault"] and "No connection matches" in seen["none"]
        for peer in peers:
            peer.close()


def test_a_connection_is_closed_from_the_page(serve, play):
    with serve() as server, Peer(server.address) as one, Peer(server.address) as other:
        assert one.request(headers="User-Agent: tester/1\r\n").status == other.request().status == 200
        seen = play("close", server, peer="%s:%d" % one.socket.getsockname())
        assert "tester/1" in seen["facts"]
        assert one.closed(2)
        assert other.request().status == 200
        closed = server.metrics().by("wharf_connections_closed_total", "reason")
        assert closed["admin"] == 1


def test_settings_are_compared_refused_and_applied(serve, play):
    with serve({"keep_alive_timeout": "60s", "max_connections": 9}) as server:
        seen = play("edit", server)
        assert len(seen["diff"]) == 2 and all(word in seen["diff"][0] for word in ("keep_alive_timeout", "5"))
        assert "Nothing was changed" in seen["refused"] and seen["fault"]
        assert len(seen["told"]) == 3 and seen["left"] == []
        config = server.json("/pools/web/http")["config"]
        assert (config["keep_alive_timeout"], config["max_connections"]) == ("20s", 77)
        assert config["exempt"] == ["10.0.0.0/8", "192.0.2.1/32"] or config["exempt"] == ["10.0.0.0/8", "192.0.2.1"]


HOSTILE = [
    "<script>window.owned=1</script>",
    "<img src=x onerror=window.owned=1>",
    "\"><svg onload=window.owned=1>",
    "\x1b[2J\x1b]0;owned\x07",
    "javascript:window.owned=1",
    "\u202egnp.exe\u2066".encode().decode("latin-1"),
    "{{constructor.constructor('window.owned=1')()}}",
    "A" * 20_000,
]


def test_nothing_that_a_peer_sends_is_ever_markup(serve, play):
    """User agents, paths, server names and close reasons of script, control codes and right-to-left."""
    tls = ("127.0.0.1", free_port())
    more = (f'[[listener]]\nname = "tls"\naddress = "127.0.0.1:{tls[1]}"\nprotocols = ["https"]\n'
            "tls = { self_signed = true }\n")
    with serve({"max_header_size": "64KiB", "max_target": "60KiB"},
               listener={"protocols": ["http", "websocket"]}, more=more) as server:
        # Of server names only those of hosts are ever taken; the longest is on display.
        longest = ".".join(["x" * 60] * 4)
        peers = [TlsPeer(tls, name=longest)]
        assert peers[0].request().status == 200
        for text in HOSTILE:
            with Peer(tls) as peer:
                peer.send(client_hello(text.encode()))
                peer.closed(2)
        for text in HOSTILE:
            peer = Peer(server.address)
            line = text.replace("\x1b", "").replace("\x07", "")
            path = quote(line.encode("latin-1"), safe="")
            peer.send(f"GET /{path} HTTP/1.1\r\nHost: t\r\nUser-Agent: {line}\r\nReferer: {line}\r\n\r\n".encode("latin-1"))
            assert peer.response().status in (200, 404)
            peers.append(peer)
        with Peer(server.address) as broken:
            broken.send(b"GET /\x1b[2J<script>window.owned=1</script> HTTP/1.1\r\nHost: t\r\nUser-Agent: \x1b]0;x\x07\r\n\r\n")
            assert broken.response().status == 400
        for text in HOSTILE:
            with Ws(server.address) as session:
                session.say(0x88, b"\x03\xe8" + text.encode()[:120])
                session.closed(2)
        with Ws(server.address, "/ws", f"User-Agent: {HOSTILE[0]}\r\n") as held:
            seen = play("hostile", server, 90.0)
            assert held is not None
        assert seen["owned"] is None and seen["foreign"] == 0 and "wharf" in seen["title"]
        everything = "\n".join(seen["clients"] + seen["details"] + seen["events"])
        assert longest in everything
        assert "<script>window.owned=1</script>" in everything, "it is not even shown"
        for mark in "\x1b\x07\u202e\u2066":
            assert mark not in everything
        assert all(len(client) < 100 for client in seen["clients"])
        for peer in peers:
            peer.close()


def test_a_door_with_a_token_asks_for_it_once(serve, play, tmp_path):
    token = "s3cret-s3cret-s3cret"
    (tmp_path / "token").write_text(token + "\n")
    with serve(admin={"token_file": "token"}) as server:
        assert server.ask("/")[0] == server.ask("/dashboard/app.js")[0] == 200
        assert server.ask("/pools/history")[0] == server.ask("/events")[0] == 401
        change = {"authorization": f"Bearer {token}", "x-wharf-admin": "1"}
        assert server.ask("/pools/web/http", "PATCH", change, {"max_connections": 5})[0] == 200
        seen = play("token", server, token=token)
        assert seen["stays"] == 1 and "refused" in seen["fault"]
        stored, cookie, address = seen["kept"]
        assert (stored, cookie) == (0, "") and token not in address


def test_a_drain_is_asked_for_twice_and_watched_to_its_end(serve, play):
    with serve(server={"drain_timeout": "20s"}) as server, Peer(server.address) as busy:
        idle = [Peer(server.address) for _ in range(10)]
        assert all(peer.request().status == 200 for peer in idle)
        busy.send(get("/slow?ms=12000"))
        eventually(lambda: server.in_flight() == 1)
        seen = play("drain", server, 90.0)
        assert "20s" in seen["question"] and seen["ready"] == 200
        assert "finishing" in seen["during"] and "in flight" in seen["during"]
        assert seen["after"].startswith("ended") and not seen["notice"]
        assert busy.response().status == 200
        assert server.exited(10) == 0
        for peer in idle:
            peer.close()


def test_keys_are_enough(serve, play):
    with serve() as server, Peer(server.address) as peer:
        assert peer.request().status == 200
        assert play("keys", server) == {"filter": "peer", "back": "pool", "nameless": 0}


def test_a_narrow_screen_is_enough(serve, play):
    with serve() as server, Peer(server.address) as peer:
        assert peer.request().status == 200
        assert play("narrow", server)["width"] <= 400


def test_a_server_that_goes_away_and_comes_back_is_noticed(serve, modules):
    with serve() as server:
        page = subprocess.Popen(command(modules, "gone", server, {}), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        try:
            assert page.stdout.readline() == "ready\n", page.stderr.read()
            server.stop()
            time.sleep(3)
            server.restart()
            out, errors = page.communicate(timeout=60)
        finally:
            page.kill()
        seen = json.loads(out.splitlines()[-1]) if out else errors
        assert "does not answer" in seen["notice"] and seen["status"].startswith("healthy"), seen
        assert seen["complaints"] == []


@pytest.mark.heavy
@pytest.mark.parametrize("count", [3000, pytest.param(15_000, marks=pytest.mark.long)])
def test_a_crowd_makes_neither_page_nor_server_slow(serve, play, count, record_property):
    with serve({"connection_timeout": "10m", "keep_alive_timeout": "10m"}) as server:
        with connect_many(server.address, count, get("/hello")) as crowd:
            crowd.serve(60, lambda: len(crowd.answered(200)) == count)
            assert server.active() == count
            time.sleep(2)
            began, used = time.monotonic(), cpu_seconds(server.pid)
            time.sleep(10)
            without = (cpu_seconds(server.pid) - used) / (time.monotonic() - began)
            began, used = time.monotonic(), cpu_seconds(server.pid)
            seen = play("many", server, 120.0, ms=20_000)
            during = (cpu_seconds(server.pid) - used) / (time.monotonic() - began)
            assert server.active() == count
        assert seen["note"] == f"200 of {count:,}"
        slowest = max(seen["updates"] + seen["tables"])
        figures = {"without": without, "with": during, "slowest_ms": slowest, "updates": len(seen["updates"])}
        record_property("figures", figures)
        print(figures)
        assert len(seen["updates"]) >= 10 and slowest < 100, figures
        assert during - without < 0.05, figures

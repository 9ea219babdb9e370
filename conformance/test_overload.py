"""Overload: who is let in, who waits, and what the others are told."""

import os
import threading
import time

import grpc
import pytest
from hyperframe.frame import RstStreamFrame

from harness import H2, Code, Peer, eventually

QUIET = {"access": False}
ALL = ["http", "http2", "grpc", "websocket"]
ROUTES = """
[[route]]
path = "/hello"
app = "demo"
priority = "critical"
[[route]]
path = "/healthz"
respond = { body = "ok" }
priority = "exempt"
[[route]]
path = "/bytes"
app = "demo"
priority = "sheddable"
[[route]]
path = "/"
app = "demo"
"""


@pytest.fixture
def serve_two(serve):
    """A server that works on two requests at a time; `ranks` is what else its limit says."""
    def start(mode="on", ranks="", door=None, **more):
        requests = f"[limits.requests]\nmode = \"{mode}\"\ninitial_limit = 2\nmin_limit = 2\nmax_limit = 2\n"
        return serve(listener={"protocols": ALL} | (door or {}), log=QUIET, more=requests + ranks + ROUTES, **more)
    return start


def replace(server, text):
    """Puts a new file in the place of the old one, as an editor or a deployment does."""
    new = server.file.with_name("new")
    new.write_text(text)
    os.replace(new, server.file)


class Busy:
    """Keeps every place taken while it is entered, by handlers that take their time."""

    def __init__(self, server, count=2, ms=3000):
        self.server, self.count, self.ms = server, count, ms

    def __enter__(self):
        self.peers = [Peer(self.server.address) for _ in range(self.count)]
        for peer in self.peers:
            peer.send(f"GET /slow?ms={self.ms} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        eventually(lambda: requests(self.server)["in_flight"] >= self.count, 5.0)
        return self

    def __exit__(self, *_):
        for peer in self.peers:
            peer.close()
        eventually(lambda: requests(self.server)["in_flight"] == 0, 5.0)


def requests(server):
    return server.json("/pools")["requests"]


def test_whoever_finds_no_place_is_told_so_in_a_way_that_may_be_repeated(serve_two):
    with serve_two() as server, Busy(server):
        with Peer(server.address) as peer:
            refused = peer.request("/slow?ms=1")
            assert refused.status == 503
            assert 1 <= int(refused.headers["retry-after"]) <= 3
            # The connection stays, and what is exempt is served on it.
            assert peer.request("/healthz").body == b"ok"
        with H2(server.address) as client:
            client.request(path="/slow?ms=1")
            reset = client.until(lambda frame: isinstance(frame, RstStreamFrame))
            assert reset.error_code == Code.REFUSED_STREAM
        channel = grpc.insecure_channel("%s:%d" % server.address)
        call = channel.unary_unary("/wharf.demo.v1.Echo/Unary")
        with pytest.raises(grpc.RpcError) as told:
            call(b"", timeout=10)
        channel.close()
        assert told.value.code() == grpc.StatusCode.UNAVAILABLE
        assert told.value.details() == "server at capacity"
        shown = requests(server)
        assert (shown["mode"], shown["limit"], shown["in_flight"]) == ("on", 2, 2)
        assert shown["shed_by_class"]["normal"] >= 3
        metrics = server.metrics()
        assert metrics.total("wharf_requests_shed_total", **{"class": "normal"}) == shown["shed_by_class"]["normal"]
        assert metrics.total("wharf_admission_limit") == 2
        assert metrics.total("wharf_requests_total", status_class="shed") >= 2
        assert metrics.total("wharf_requests_total", status_class="5xx") == 0


def test_a_session_that_finds_no_place_is_told_so_before_it_begins(serve_two):
    upgrade = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
    with serve_two() as server, Busy(server, ms=20_000), Peer(server.address) as peer:
        refused = peer.request("/ws", headers=upgrade)
        assert refused.status == 503 and 1 <= int(refused.headers["retry-after"]) <= 3
        assert "upgrade" not in refused.headers
        # It was a request as any other: the connection stays.
        assert peer.request("/healthz").body == b"ok"


def turned_away_as(server, target="/slow?ms=1", **fields):
    """The class of a request that finds no place."""
    before = requests(server)["shed_by_class"]
    with Peer(server.address) as peer:
        headers = "".join(f"X-{name}: {value}\r\n" for name, value in fields.items())
        assert peer.request(target, headers=headers).status == 503
    after = requests(server)["shed_by_class"]
    (one,) = [name for name, count in after.items() if count > before[name]]
    return one


SOURCES = """
[limits.requests.sources]
background = ["127.0.0.0/8"]
interactive = ["0.0.0.0/0"]
exempt = ["192.0.2.0/24"]
"""


def test_a_client_lowers_his_own_requests_and_raises_none(serve_two):
    with serve_two(ranks='priority_header = "X-Priority"\n' + SOURCES) as server, Busy(server, ms=20_000):
        assert turned_away_as(server) == "background"
        assert turned_away_as(server, Priority="sheddable") == "sheddable"
        for word in ("critical", "exempt", "nonsense"):
            assert turned_away_as(server, Priority=word) == "background"
        # What is asked for counts more than who asks, and less than what he says against himself.
        assert turned_away_as(server, "/hello") == "critical"
        assert turned_away_as(server, "/hello", Priority="normal") == "normal"


def test_a_trusted_peer_says_what_his_requests_are_and_whose(serve_two):
    ranks = 'priority_header = "x-priority"\nuser_header = "x-account"\ntrusted = ["127.0.0.1"]\n'
    with serve_two(ranks=ranks + SOURCES) as server, Busy(server, ms=20_000):
        assert turned_away_as(server, Priority="critical", Account="a") == "critical"
        assert turned_away_as(server, "/hello", Priority="sheddable") == "sheddable"
        assert turned_away_as(server) == "background"


def test_a_listener_says_what_is_said_nowhere_else_and_a_reload_says_another(serve_two):
    with serve_two(door={"priority": "sheddable"}) as server, Busy(server, ms=20_000):
        assert turned_away_as(server) == "sheddable"
        assert turned_away_as(server, "/hello") == "critical"
        replace(server, server.text().replace('priority = "sheddable"', 'priority = "background"', 1))
        assert server.write("/reload", "POST")[0] == 200
        assert turned_away_as(server) == "background"
        # The limit has not begun anew: it is as it was, with the same two in their places.
        assert requests(server)["in_flight"] == 2


def test_a_call_for_health_is_answered_when_nothing_else_is(serve_two):
    with serve_two() as server, Busy(server):
        channel = grpc.insecure_channel("%s:%d" % server.address)
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=10) == b"\x08\x01", "SERVING"
        channel.close()


def test_what_is_critical_is_served_and_what_is_sheddable_is_not(serve_two):
    """Twice what there are places for, half of it critical: places come free every 20 ms."""
    with serve_two() as server:
        statuses = {"/hello": [], "/slow?ms=40": [], "/bytes?n=1": []}
        end = time.monotonic() + 5
        fails = []

        def ask(path):
            try:
                with Peer(server.address) as peer:
                    while time.monotonic() < end:
                        statuses[path].append(peer.request(path).status)
                        time.sleep(0.005)
            except Exception as failure:  # noqa: BLE001
                fails.append(failure)

        # Six that hold places for 40 ms each where there are two: the places are always taken.
        threads = [threading.Thread(target=ask, args=(path,))
                   for path in ["/slow?ms=40"] * 6 + ["/hello"] * 2 + ["/bytes?n=1"] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not fails
        served = {path: got.count(200) / len(got) for path, got in statuses.items()}
        assert served["/hello"] >= 0.99, (served, requests(server))
        assert served["/bytes?n=1"] <= 0.6, (served, requests(server))
        assert set(sum(statuses.values(), [])) <= {200, 503}
        shed = requests(server)["shed_by_class"]
        assert shed["sheddable"] > shed["critical"]


def test_a_dry_run_turns_nobody_away_and_off_measures_nothing(serve_two):
    with serve_two("dry_run") as server:
        with Busy(server), Peer(server.address) as peer:
            assert peer.request("/slow?ms=1").status == 200
            shown = requests(server)
            assert shown["mode"] == "dry_run" and shown["dry_run_by_class"]["normal"] == 1
            assert server.metrics().total("wharf_requests_shed_dry_run_total") == 1
    with serve_two("off") as server, Peer(server.address) as peer:
        assert peer.request("/slow?ms=1").status == 200
        shown = requests(server)
        assert (shown["mode"], shown["limit"], shown["in_flight"]) == ("off", None, 0)


def test_slow_clients_hold_no_place(serve_two):
    with serve_two() as server:
        slow = [Peer(server.address) for _ in range(10)]
        for peer in slow:
            peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx")
        time.sleep(0.3)
        with Peer(server.address) as peer:
            for _ in range(20):
                assert peer.request("/slow?ms=1").status == 200
        for peer in slow:
            peer.close()
        eventually(lambda: requests(server)["in_flight"] == 0, 5.0)
        assert sum(requests(server)["shed_by_class"].values()) == 0


@pytest.mark.heavy
def test_nobody_is_turned_away_under_honest_load(serve):
    """The limit as it comes, for a while: those who ask, wait and ask again, with bursts among them."""
    with serve(listener={"protocols": ALL}, log=QUIET, more='[limits.requests]\nmode = "on"\n') as server:
        end, fails = time.monotonic() + 20, []

        def ask(n):
            try:
                with Peer(server.address) as peer:
                    while time.monotonic() < end:
                        path = ("/hello", "/slow?ms=20", "/bytes?n=10000", "/slow?ms=200")[n % 4]
                        if peer.request(path).status != 200:
                            fails.append(path)
                        time.sleep(0.01 if n % 3 else 0.0)
            except Exception as failure:  # noqa: BLE001
                fails.append(failure)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shown = requests(server)
        assert not fails, (fails[:3], shown)
        assert sum(shown["shed_by_class"].values()) == 0, shown

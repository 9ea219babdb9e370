"""The gateway: what upstreams are asked, what clients are told, and how it fares when upstreams do not."""

import contextlib
import threading
import time

import pytest

from harness import (
    H2, Authority, Events, Nobody, Peer, Sampler, Upstream, answer, eventually, gateway, in_threads,
    resident_bytes,
)
from harness.h2 import data

QUIET = {"access": False}
MIB = 1 << 20
BOTH = {"protocols": ["http", "http2"]}
# Whose turn it is does not depend on how well it did.
IN_TURN = {"balance": "round_robin"}
IDEMPOTENT = {"retry": "idempotent", "retries": 2}


@pytest.fixture
def serve_gateway(serve):
    """A server before these upstreams; the rest is as `gateway` and `serve` have it."""
    def start(*endpoints, route=None, upstream=None, sections="", routes="", **more):
        text = gateway(*endpoints, route=route, upstream=upstream, sections=sections, routes=routes)
        return serve(**{"log": QUIET, "more": text} | more)
    return start


def named(name, pause=0):
    """What answers with its name, after a while."""
    def respond(request, sock):
        time.sleep(pause)
        return answer(body=name.encode())
    return respond


# What an upstream is asked.


def test_a_request_goes_on_with_what_it_says_and_where_it_came_from(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream) as server, server.expecting():
        with Peer(server.address) as peer:
            fields = "Accept: a\r\nAccept: b\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
            got = peer.request("/a/b?c=d", "PUT", fields, b"hello")
        assert (got.status, got.body) == (200, b"hello")
        [asked] = upstream.asked
        assert (asked.method, asked.target, asked.body) == ("PUT", "/a/b?c=d", b"hello")
        assert asked.all("accept") == ["a", "b"]
        assert asked.one("host") == "localhost" == asked.one("x-forwarded-host")
        assert asked.one("x-forwarded-for") == "1.1.1.1, 127.0.0.1"
        assert asked.one("x-forwarded-proto") == "http"
        assert asked.one("forwarded") == 'for=127.0.0.1;host="localhost";proto=http'
        assert asked.one("via") == "1.1 wharf" and got.headers["via"] == "1.1 wharf"


def test_one_connection_serves_many_requests(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream) as server:
        with Peer(server.address) as peer:
            for n in range(200):
                assert peer.request(f"/{n}").status == 200
        assert len(upstream.asked) == 200
        # Two are held ready (min_idle), and one of them does the work.
        assert upstream.opened <= 3 and len({it.connection for it in upstream.asked}) <= 2


def test_http2_becomes_http1(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream, listener=BOTH) as server:
        with H2(server.address) as peer:
            peer.request(1, "/a?b", "POST", [("te", "trailers"), ("cookie", "a=1"), ("cookie", "b=2")])
            peer.send(data(1, b"hello", end_stream=True))
            assert peer.response(1).body == b"hello"
        [asked] = upstream.asked
        assert (asked.method, asked.target, asked.body) == ("POST", "/a?b", b"hello")
        assert asked.one("host") == "localhost:%d" % server.address[1]
        assert asked.one("via") == "2 wharf" and asked.one("te") == "trailers"


@pytest.mark.parametrize("route,target,expected", [
    ({"path": "/api/", "strip_prefix": True}, "/api/x?y", "/x?y"),
    ({"path": "/api", "strip_prefix": True}, "/api", "/"),
    ({"path": "/api/", "rewrite": "/v1/"}, "/api/x", "/v1/x"),
    ({"path": "/", "rewrite": "/v1"}, "/x", "/v1/x"),
    ({"path": "/api/"}, "/api/x", "/api/x"),
])
def test_the_path_can_be_another(serve_gateway, route, target, expected):
    with Upstream() as upstream, serve_gateway(upstream, route=route) as server:
        with Peer(server.address) as peer:
            assert peer.request(target).status == 200
        assert [it.target for it in upstream.asked] == [expected]


def test_fields_can_be_set_and_removed_both_ways(serve_gateway):
    route = {
        "request_headers": {"set": {"x-team": "blue"}, "remove": ["cookie", "forwarded"]},
        "response_headers": {"set": {"x-frame-options": "DENY"}, "remove": ["server"]},
        "upstream_host": "upstream",
    }
    respond = lambda *_: answer(headers="Server: secret\r\nX-Frame-Options: x\r\n")
    with Upstream(respond) as upstream, serve_gateway(upstream, route=route) as server:
        with Peer(server.address) as peer:
            got = peer.request("/", headers="Cookie: a\r\nX-Team: red\r\n")
        [asked] = upstream.asked
        assert asked.one("x-team") == "blue" and not asked.all("cookie") and not asked.all("forwarded")
        assert asked.one("host") == "%s:%d" % upstream.address
        assert got.headers["x-frame-options"] == "DENY" and "server" not in got.headers


def test_the_peer_is_the_one_that_a_trusted_proxy_announces(serve_gateway):
    listener = {"proxy_protocol": {"trusted": ["127.0.0.1/32"]}}
    with Upstream() as upstream, serve_gateway(upstream, listener=listener) as server:
        with Peer(server.address) as peer:
            peer.send("PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n")
            assert peer.request("/").status == 200
        assert upstream.asked[0].one("x-forwarded-for") == "192.0.2.7"


def test_who_comes_by_tls_is_told_to_have(serve_tls, serve_gateway, tmp_path):
    from harness import TlsPeer, tls_client
    with Upstream() as upstream, serve_tls(more=gateway(upstream)) as server:
        with TlsPeer(server.address, tls_client()) as peer:
            assert peer.request("/").status == 200
        assert upstream.asked[0].one("x-forwarded-proto") == "https"


# Bodies.


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "REPORT"])
@pytest.mark.parametrize("framing", ["length", "chunks", "nothing"])
def test_a_body_is_passed_on_whatever_the_method_and_the_framing(serve_gateway, method, framing):
    said = {"length": "Content-Length: 5\r\n\r\nhello", "nothing": "\r\n",
            "chunks": "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"}[framing]
    with Upstream() as upstream, serve_gateway(upstream) as server, Peer(server.address) as peer:
        for _ in range(2):
            peer.send(f"{method} /x HTTP/1.1\r\nHost: a\r\n{said}")
            assert peer.response().status == 200
        assert [it.method for it in upstream.asked] == [method] * 2
        assert {it.body for it in upstream.asked} == {b"" if framing == "nothing" else b"hello"}
        assert not upstream.garbage


def test_trailers_pass_both_ways(serve_gateway):
    def respond(request, sock):
        return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: checksum\r\n\r\n"
                b"2\r\nok\r\n0\r\nChecksum: 7\r\n\r\n")

    with Upstream(respond) as upstream, serve_gateway(upstream, listener=BOTH) as server:
        with Peer(server.address) as peer:
            peer.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"
                      "Trailer: sum\r\n\r\n2\r\nhi\r\n0\r\nSum: 5\r\n\r\n")
            assert eventually(lambda: not peer.closed(0.05, must=False) and b"7\r\n\r\n" in peer.buffer)
            assert b"checksum: 7" in peer.buffer.lower()
        assert upstream.asked[0].body == b"hi" and upstream.asked[0].trailers == [("sum", "5")]
        with H2(server.address) as peer:
            assert peer.get(1).headers["checksum"] == "7"


def test_bodies_are_passed_on_as_they_come(serve_gateway):
    """Each half sees what the other has sent before it has sent all."""
    first, rest = threading.Event(), threading.Event()

    def respond(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert rest.wait(5)
        return b"3\r\ntwo\r\n0\r\n\r\n"

    with Upstream(respond) as upstream, serve_gateway(upstream) as server, Peer(server.address) as peer:
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: peer.is_open() and b"one" in peer.buffer)
        assert b"two" not in peer.buffer
        rest.set()
        assert peer.response().body == b"onetwo"
        first.set()


def test_a_client_that_waits_with_its_body_is_told_to_send_it(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream) as server, Peer(server.address) as peer:
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert eventually(lambda: peer.is_open() and peer.buffer.startswith(b"HTTP/1.1 100 "))
        peer.send("hello")
        assert peer.response().body == b"hello"


@pytest.mark.parametrize("method,status", [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content")])
def test_an_answer_without_a_body_has_none(serve_gateway, method, status):
    """What length the body would have is told where the client's protocol has a place for it: hyper writes
    none with 304."""
    said = f"HTTP/1.1 {status}\r\n" + ("" if "204" in status else "Content-Length: 7\r\n") + "\r\n"
    with Upstream(lambda *_: said.encode()) as upstream, serve_gateway(upstream, listener=BOTH) as server:
        with Peer(server.address) as peer:
            for _ in range(3):
                got = peer.request("/", method)
                assert got.status == int(status[:3])
                assert got.headers.get("content-length") == ("7" if method == "HEAD" else None)
        with H2(server.address) as peer:
            peer.request(1, "/", method)
            got = peer.response(1)
            assert (got.status, got.body) == (int(status[:3]), b"")
            assert got.headers.get("content-length") == (None if "204" in status else "7")


@pytest.mark.parametrize("body", ["length", "chunks"])
def test_a_body_that_is_too_large_for_its_route_is_413(serve_gateway, body):
    route = {"max_body_size": "1KiB"}
    with Upstream() as upstream, serve_gateway(upstream, route=route) as server, Peer(server.address) as peer:
        assert peer.request("/", "POST", body=b"x" * 1024).status == 200
        if body == "length":
            peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n" + b"x" * 1025)
        else:
            peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                      + b"400\r\n" + b"x" * 1024 + b"\r\n1\r\nx\r\n0\r\n\r\n")
        got = peer.response()
        assert got.status == 413 and got.headers["x-wharf-reason"] == "body_too_large"
        assert eventually(lambda: len(upstream.asked) == 1)


def test_a_body_that_says_it_is_too_large_is_413_before_a_byte_of_it(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream, route={"max_body_size": "1KiB"}) as server:
        with Peer(server.address) as peer:
            peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n")
            # Not 100, which would ask for it.
            got = peer.response()
            assert got.status == 413 and got.headers["x-wharf-reason"] == "body_too_large"
        assert upstream.asked == [] and upstream.garbage == []


@pytest.mark.heavy
@pytest.mark.parametrize("version", ["http1", "http2"])
def test_256_mib_go_through_in_a_bounded_memory(serve_gateway, version):
    """Both ways, and the reader of each is slower than its writer."""
    size, piece = 256 * MIB, b"x" * (64 << 10)

    def respond(request, sock):
        if request.method == "POST":
            return answer(body=str(len(request.body)).encode())
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            sock.sendall(piece)
        return None

    with Upstream(respond) as upstream, serve_gateway(upstream, listener=BOTH) as server:
        with Peer(server.address) as peer:
            assert peer.request("/", "POST", body=b"warm").status == 200
        before = resident_bytes(server.pid)
        with Sampler(lambda: resident_bytes(server.pid), every=0.02) as memory:
            got = 0
            if version == "http1":
                with Peer(server.address) as peer:
                    peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    peer.socket.settimeout(20)
                    while got < size:
                        got += len(peer.socket.recv(MIB))
                with Peer(server.address, timeout=60) as peer:
                    peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
                    for _ in range(size // len(piece)):
                        peer.send(piece)
                    assert peer.response(within=60).body == b"%d" % size
            else:
                with H2(server.address) as peer:
                    peer.request(1, "/")
                    while got < size:
                        frame = peer.next(20)
                        assert frame is not None, peer.story()
                        got += len(getattr(frame, "data", b"") or b"") if frame.stream_id == 1 else 0
                        peer.frames.clear()
        grown = max(memory.values) - before
        assert grown < 32 * MIB, f"{grown / MIB:.1f} MiB more"


# When upstreams fail.


def test_where_nobody_listens_it_is_502_with_the_reason(serve_gateway):
    nobody = Nobody()
    with serve_gateway(nobody) as server, Peer(server.address) as peer:
        got = peer.request("/")
        assert got.status == 502 and got.headers["x-wharf-reason"] == "connect_refused"
        assert peer.request("/").status in (502, 503), "the client's connection goes on"


def test_the_reason_can_be_kept_to_oneself(serve_gateway):
    nobody = Nobody()
    with serve_gateway(nobody, server={"reason_header": False}) as server, Peer(server.address) as peer:
        got = peer.request("/")
        assert got.status == 502 and "x-wharf-reason" not in got.headers


@pytest.mark.parametrize("route,pool", [({"request_timeout": "300ms"}, {}), ({}, {"request_timeout": "300ms"})])
def test_an_answer_that_is_late_is_504(serve_gateway, route, pool):
    with Upstream(named("late", pause=2)) as upstream:
        with serve_gateway(upstream, route=route, pool=pool or None) as server, Peer(server.address) as peer:
            began = time.monotonic()
            # Only a call of gRPC says how long it waits.
            got = peer.request("/", headers="Grpc-Timeout: 99999999H\r\n")
            took = time.monotonic() - began
            assert got.status == 504 and got.headers["x-wharf-reason"] == "response_timeout"
            assert 0.29 <= took <= 1.5, took


def test_a_client_that_leaves_takes_its_request_along(serve_gateway):
    gone = threading.Event()

    def respond(request, sock):
        sock.settimeout(5)
        if sock.recv(1) == b"":
            gone.set()
        return Upstream.CLOSE

    with Upstream(respond) as upstream, serve_gateway(upstream) as server:
        peer = Peer(server.address)
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: upstream.asked)
        peer.close()
        assert gone.wait(3), "the upstream works for nobody"


def test_connections_that_upstreams_close_between_requests_cost_nobody_anything(serve_gateway):
    """Each answer is followed by a close that is not announced."""
    def respond(request, sock):
        sock.sendall(answer())
        return Upstream.CLOSE

    with Upstream(respond) as upstream, serve_gateway(upstream) as server, Peer(server.address) as peer:
        for n in range(100):
            assert peer.request(f"/{n}").status == 200, n
        assert len(upstream.asked) == 100


def load(server, seconds, threads=4):
    """Asks all the time; what was not answered with 200."""
    failed, done, over = [], [], threading.Event()

    def ask():
        with Peer(server.address) as peer:
            while not over.is_set():
                try:
                    got = peer.request("/")
                except (OSError, EOFError) as error:
                    failed.append(error)
                    return
                done.append(got.body)
                if got.status != 200:
                    failed.append((got.status, got.headers.get("x-wharf-reason")))

    workers = [threading.Thread(target=ask) for _ in range(threads)]
    for worker in workers:
        worker.start()
    yield done
    over.set()
    for worker in workers:
        worker.join(10)
    assert not failed, (len(failed), failed[:5])


loaded = contextlib.contextmanager(load)


def test_an_endpoint_that_is_killed_and_comes_back_costs_no_request(serve_gateway):
    with Upstream(named("a")) as one, Upstream(named("b")) as other:
        with serve_gateway(one, other, route=IDEMPOTENT) as server:
            with loaded(server, 4) as done:
                time.sleep(0.5)
                for _ in range(2):
                    one.stop()
                    time.sleep(0.5)
                    one.start()
                    time.sleep(0.5)
            assert len(done) > 50 and {b"a", b"b"} <= set(done)


def test_of_two_endpoints_one_that_was_never_there_costs_no_request(serve_gateway):
    nobody = Nobody()
    with Upstream(named("a")) as there, serve_gateway(there, nobody) as server:
        with loaded(server, 1) as done:
            time.sleep(1)
        assert len(done) > 50 and set(done) == {b"a"}
        [pool] = [it for it in server.json("/pools")["pools"] if it["direction"] == "outbound"]
        states = {it["address"]: it["state"] for it in pool["endpoints"]}
        assert states[there.url] == "ready" and states[nobody.url] in ("warming", "ejected", "down")


def test_a_slow_endpoint_gets_less(serve_gateway):
    with Upstream(named("slow", pause=0.1)) as slow, Upstream(named("fast", pause=0.002)) as fast:
        with serve_gateway(slow, fast) as server:
            with loaded(server, 2, threads=8) as done:
                time.sleep(2)
            share = done.count(b"slow") / len(done)
            assert share < 0.25, share


def test_who_waits_too_long_for_a_connection_is_told_when_to_come_again(serve_gateway):
    sections = '[upstream.pool]\nmax_connections_per_endpoint = 1\nmin_idle = 1\nwait_timeout = "200ms"\n'
    with Upstream(named("a", pause=1)) as upstream, serve_gateway(upstream, sections=sections) as server:
        def ask(*_):
            with Peer(server.address) as peer:
                got = peer.request("/")
                return got.status, got.headers.get("x-wharf-reason"), got.headers.get("retry-after")
        answers = in_threads(3, ask, 1)
        told = [it for it in answers if it[0] == 503]
        assert len(told) == 2 and all(it[2] == "1" for it in told), answers
        assert {it[1] for it in told} <= {"wait_timeout", "shed"}


def test_an_endpoint_that_is_not_well_is_asked_nothing_until_it_is(serve_gateway):
    well = threading.Event()

    def respond(request, sock):
        if request.target == "/health":
            return answer("200 OK" if well.is_set() else "503 Not Now")
        return answer(body=b"sick")

    sections = '[upstream.health_check]\npath = "/health"\ninterval = "100ms"\n'
    with Upstream(named("fine")) as fine, Upstream(respond) as sick:
        with serve_gateway(fine, sick, upstream=IN_TURN, sections=sections) as server, Peer(server.address) as peer:
            def state():
                pool = server.json("/pools/api/http")
                return {it["address"]: it["state"] for it in pool["endpoints"]}[sick.url]
            assert eventually(lambda: state() == "down", 5)
            assert {peer.request("/x").body for _ in range(50)} == {b"fine"}
            with Events(server.admin) as events:
                well.set()
                assert eventually(lambda: state() == "ready", 5)
                told = eventually(lambda: events.of("endpoint_state_changed"))
                assert [(it["pool"], it["endpoint"], it["state"]) for it in told] == [
                    ("api/http", sick.url, "ready")]
            assert eventually(lambda: peer.request("/x").body == b"sick", 5)


def test_an_endpoint_whose_answers_are_failures_is_left_alone(serve_gateway):
    with Upstream(named("fine")) as fine, Upstream(lambda *_: answer("500 Oh", b"sick")) as sick:
        with serve_gateway(fine, sick, upstream=IN_TURN) as server, Peer(server.address) as peer:
            bodies = [peer.request("/x").body for _ in range(300)]
            assert 1 <= bodies.count(b"sick") <= 20, bodies.count(b"sick")
            assert set(bodies[-100:]) == {b"fine"}
            labels = {"upstream": "api", "endpoint": sick.url}
            assert server.metrics().total("wharf_upstream_ejections_total", **labels) == 1


# TLS.


@pytest.mark.parametrize("mutual", [False, True])
def test_an_upstream_that_speaks_tls_is_asked_by_tls(serve_gateway, authority, tmp_path, mutual):
    import ssl
    ours = authority.issue("localhost", "127.0.0.1").write(tmp_path, "upstream")
    (tmp_path / "ca.crt").write_bytes(authority.chain_pem())
    authority.issue("wharf", client=True).write(tmp_path, "wharf")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / ours["certificate"], tmp_path / ours["key"])
    tls = {"ca": "ca.crt"}
    if mutual:
        context.load_verify_locations(tmp_path / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        tls |= {"certificate": "wharf.crt", "key": "wharf.key"}
    with Upstream(tls=context) as upstream, serve_gateway(upstream, upstream={"tls": tls}) as server:
        with Peer(server.address) as peer:
            for _ in range(3):
                assert peer.request("/").status == 200
        assert [it for it in server.json("/pools")["pools"] if it["name"] == "api/https"]
    other = Authority("Another CA")
    (tmp_path / "ca.crt").write_bytes(other.chain_pem())
    with Upstream(tls=context) as upstream, serve_gateway(upstream, upstream={"tls": tls}) as server:
        with Peer(server.address) as peer:
            got = peer.request("/")
            assert got.status == 502 and got.headers["x-wharf-reason"] == "tls_failed"


# What operators see, and change.


def test_pools_metrics_and_health_show_upstreams(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream) as server:
        with Peer(server.address) as peer:
            for _ in range(5):
                assert peer.request("/").status == 200
        [pool] = [it for it in server.json("/pools")["pools"] if it["direction"] == "outbound"]
        assert pool["name"] == "api/http" and pool["health"]["status"] == "healthy"
        assert pool["config"]["min_idle"] == 2
        [endpoint] = pool["endpoints"]
        assert endpoint["address"] == upstream.url and endpoint["state"] == "ready"
        assert endpoint["active_connections"] == upstream.open()
        assert server.json("/pools/api/http")["name"] == "api/http"
        assert "api/http" in [it["name"] for it in server.json("/health")["pools"]]

        def counted():
            metrics = server.metrics()
            return metrics.total("wharf_upstream_requests_total", upstream="api", status_class="2xx") == 5
        assert eventually(counted)
        labels = {"upstream": "api", "endpoint": upstream.url}
        assert server.metrics().total("wharf_upstream_response_seconds_count", **labels) == 5


def test_a_pool_of_an_upstream_is_changed_like_any_other(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream) as server:
        status, _, body = server.write("/pools/api/http", "PATCH", {"min_idle": 4})
        assert status == 200, body
        assert server.json("/pools/api/http")["config"]["min_idle"] == 4
        assert eventually(lambda: upstream.open() == 4)
        assert server.write("/pools/api/http", "PATCH", {"min_idel": 4})[0] == 422
        assert server.write("/pools/api/http", "PATCH", {"accept_rate": 4})[0] == 422
        kept = [it["key"] for it in server.json("/config")["not_as_in_file"]]
        assert kept == ["upstream.api.pool.min_idle"]


def reload(server, old, new):
    server.file.write_text(server.file.read_text().replace(old, new))
    return server.write("/reload", "POST")


def test_endpoints_change_while_requests_are_in_flight(serve_gateway):
    with Upstream(named("old", pause=0.7)) as old, Upstream(named("new")) as new:
        with serve_gateway(old) as server:
            peer = Peer(server.address)
            peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert eventually(lambda: old.asked)
            status, _, body = reload(server, old.url, new.url)
            assert status == 200 and b"upstream.api.endpoints" in body
            with Peer(server.address) as other:
                assert other.request("/").body == b"new"
            assert peer.response().body == b"old", "what was in flight ends"
            peer.close()
            assert eventually(lambda: old.open() == 0)


def test_an_upstream_that_leaves_ends_in_order(serve_gateway):
    with Upstream(named("old", pause=0.7)) as old, serve_gateway(old) as server:
        peer = Peer(server.address)
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: old.asked)
        text = server.file.read_text()
        text = text[:text.index("[[route]]")]
        server.file.write_text(text)
        assert server.write("/reload", "POST")[0] == 200
        with Peer(server.address) as other:
            assert other.request("/hello").body == b"Hello, World!"
        assert peer.response().body == b"old"
        peer.close()
        assert eventually(lambda: old.open() == 0)
        assert not [it for it in server.json("/pools")["pools"] if it["direction"] == "outbound"]


def test_a_file_with_an_upstream_that_cannot_be_changes_nothing(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream) as server:
        status, _, body = reload(server, 'upstream = "api"', 'upstream = "apj"')
        assert status == 422 and b"write one of api" in body
        with Peer(server.address) as peer:
            assert peer.request("/").status == 200


def test_ready_waits_for_the_first_connections(serve_gateway):
    """A server that holds connections to nobody is ready after five seconds, and not before."""
    nobody = Nobody()
    began = time.monotonic()
    with serve_gateway(nobody):
        assert 4.0 <= time.monotonic() - began <= 8.0
    began = time.monotonic()
    with Upstream() as upstream, serve_gateway(upstream):
        assert time.monotonic() - began <= 3.0


def test_a_drain_waits_for_what_upstreams_still_answer(serve_gateway):
    import signal
    with Upstream(named("late", pause=1)) as upstream, serve_gateway(upstream) as server:
        peer = Peer(server.address)
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: upstream.asked)
        server.signal(signal.SIGTERM)
        assert peer.response().body == b"late"
        assert server.exited(within=10) == 0
        assert eventually(lambda: upstream.open() == 0)


def test_a_circle_of_gateways_is_broken(serve):
    with serve(log=QUIET) as server:
        text = server.file.read_text() + gateway("http://%s:%d" % server.address)
        server.file.write_text(text)
        assert server.write("/reload", "POST")[0] == 200
        with Peer(server.address) as peer:
            got = peer.request("/")
            assert got.status == 508, got

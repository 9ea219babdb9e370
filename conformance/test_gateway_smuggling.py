"""Whatever comes, an upstream reads as many requests as wharf has sent it, and each as it was meant."""

import time

import pytest
from hyperframe.frame import GoAwayFrame

from harness import H2, Code, Peer, Server, Upstream, answer, gateway
from harness.h2 import data, headers
from test_strict_http1 import HOST, REFUSED, SECOND, SERVED, allowed, statuses

QUIET = {"access": False}
GRACE = 0.05


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(tmp_path_factory, upstream):
    folder = tmp_path_factory.mktemp("smuggling")
    protocols = {"protocols": ["http", "http2", "websocket"]}
    with Server(folder, listener=protocols, log=QUIET, more=gateway(upstream)) as server:
        yield server


@pytest.fixture
def seen(upstream):
    """The requests that the upstream has read since the test began; nothing else may have come."""
    upstream.asked.clear()
    upstream.garbage.clear()

    def requests(within=GRACE):
        time.sleep(within)
        # A request that is broken off is one that the upstream sees broken off, and closes.
        assert not [it for it in upstream.garbage if it != b"a body that ends early"], upstream.garbage
        return upstream.asked

    return requests


def post(fields, body="", target="/echo"):
    return f"POST {target} HTTP/1.1\r\n{HOST}{fields}\r\n{body}"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_comes_to_no_upstream(server, seen, name):
    content, status, _ = REFUSED[name]
    with Peer(server.address) as peer:
        peer.send(content + SECOND)
        closed = peer.closed(3)
    answers = statuses(closed.received)
    assert len(answers) <= 1 and b"second" not in closed.received
    if answers:
        # What is wrong with a body shows when its head has gone on.
        assert answers[0] in (*allowed(status), 400, 413, 502), closed.received[:200]
    assert not [it for it in seen() if "second" in it.target or it.method not in ("GET", "POST")]
    assert not [it for it in seen(0) if it.method == "POST"], "no broken body is a whole request"


@pytest.mark.parametrize("name", SERVED)
def test_what_is_served_is_one_request_and_so_is_what_follows(server, seen, name):
    with Peer(server.address) as peer:
        peer.send(SERVED[name][0])
        first = peer.response().status
        peer.send(SECOND)
        assert peer.response().status == 200
    # OPTIONS * is for us, as is what no route is for.
    expected = [] if first == 404 else [first]
    targets = [it.target for it in seen()]
    assert len(targets) == len(expected) + 1 and targets[-1] == "/hello?second"


# Name → (the request, what the upstream has of it: its body, and fields that are not there).
DISGUISED = {
    "Connection: content-length": (
        post("Content-Length: 5\r\nConnection: content-length\r\n", "hello"), b"hello", ()),
    "Connection: transfer-encoding": (
        post("Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n",
             "5\r\nhello\r\n0\r\n\r\n"), b"hello", ()),
    "Connection: host": (post("Content-Length: 5\r\nConnection: host\r\n", "hello"), b"hello", ()),
    "Connection: x-forwarded-for": (
        post("Content-Length: 5\r\nConnection: x-forwarded-for, forwarded, via\r\nVia: 1.1 a\r\n",
             "hello"), b"hello", ()),
    "Connection: cookie": (
        post("Content-Length: 5\r\nConnection: cookie\r\nCookie: a=b\r\n", "hello"), b"hello", ("cookie",)),
    "Connection: close, te": (
        post("Content-Length: 5\r\nConnection: close, te\r\nTE: gzip\r\n", "hello"), b"hello",
        ("te", "connection")),
    "Keep-Alive": (post("Content-Length: 5\r\nKeep-Alive: timeout=9\r\n", "hello"), b"hello",
                   ("keep-alive",)),
    "Proxy-Connection": (post("Content-Length: 5\r\nProxy-Connection: keep-alive\r\n", "hello"), b"hello",
                         ("proxy-connection",)),
    "Proxy-Authorization": (post("Content-Length: 5\r\nProxy-Authorization: Basic x\r\n", "hello"),
                            b"hello", ("proxy-authorization",)),
    "Proxy": (post("Content-Length: 5\r\nProxy: http://evil\r\n", "hello"), b"hello", ("proxy",)),
    "Content_Length": (post("Content-Length: 5\r\nContent_Length: 1\r\n", "hello"), b"hello",
                       ("content_length",)),
    "Transfer_Encoding": (post("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", "hello"), b"hello",
                          ("transfer_encoding", "transfer-encoding")),
    "X_Forwarded_For": (post("Content-Length: 5\r\nX_Forwarded_For: 1.1.1.1\r\n", "hello"), b"hello",
                        ("x_forwarded_for",)),
    "X-Wharf-Admin": (post("Content-Length: 5\r\nX-Wharf-Admin: 1\r\nx_wharf_a: 1\r\n", "hello"), b"hello",
                      ("x-wharf-admin", "x_wharf_a")),
    "Upgrade: h2c": (
        post("Content-Length: 5\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\n"
             "HTTP2-Settings: AAMAAABkAAQAAP__\r\n", "hello"), b"hello",
        ("upgrade", "connection", "http2-settings")),
    "Expect": (post("Content-Length: 5\r\nExpect: 100-continue\r\n", "hello"), b"hello", ("expect",)),
    "a chunk that looks like a request": (
        post("Transfer-Encoding: chunked\r\n", f"{len(SECOND):x}\r\n{SECOND}\r\n0\r\n\r\n"),
        SECOND.encode(), ()),
    "a body that looks like a request": (post(f"Content-Length: {len(SECOND)}\r\n", SECOND),
                                         SECOND.encode(), ()),
    "chunk extensions": (post("Transfer-Encoding: chunked\r\n", '5;a="0"\r\nhello\r\n0;b\r\n\r\n'), b"hello",
                         ()),
    "a trailer of ours": (
        post("Transfer-Encoding: chunked\r\nTrailer: x-wharf-a\r\n",
             "5\r\nhello\r\n0\r\nX-Wharf-A: 1\r\n\r\n"), b"hello", ("x-wharf-a",)),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_what_is_about_a_connection_ends_with_it(server, seen, name):
    content, body, gone = DISGUISED[name]
    with Peer(server.address) as peer:
        peer.send(content)
        assert peer.response().status == 200
    [asked] = seen()
    assert (asked.method, asked.target, asked.body) == ("POST", "/echo", body)
    assert not [name for name in gone if asked.all(name)]
    assert not [name for name, _ in asked.trailers if name in gone]
    assert asked.one("host") == "localhost"
    assert asked.one("x-forwarded-for") == "127.0.0.1"


@pytest.mark.parametrize("target", [
    "/a/../b", "/..", "/a/./b", "/a/%2e%2e/b", "/a/%2E%2e", "/a/.%2e/b", "/a%2f..%2fb", "/a\\..\\b",
    "/a/..;/b", "/a/..;x=y",
])
def test_a_path_that_leaves_its_place_is_refused(server, seen, target):
    with Peer(server.address) as peer:
        peer.send(f"GET {target} HTTP/1.1\r\n{HOST}\r\n")
        assert peer.response().status == 400
    assert not seen()


# Values that HTTP/2 can carry, and HTTP/1 cannot; names too.
CUT = [
    ("x", "a\r\nx-evil: b"), ("x", "a\nb"), ("x", "a\rb"), ("x", "a\0b"), ("x y", "z"), ("x:y", "z"),
    ("x\r\ny", "z"), ("X", "z"), ("", "z"), ("connection", "close"), ("transfer-encoding", "chunked"),
    (":path", "/hello\r\nx: y"), (":path", "/hello HTTP/1.1\r\nHost: a\r\n\r\nGET /second"),
    (":path", "/hel lo"), (":method", "GET /second HTTP/1.1\r\n\r\nGET"), (":method", "G ET"),
    (":authority", "a\r\nx: y"), (":authority", "a b"), (":authority", "me@a"), (":scheme", "http\r\nx: y"),
]


@pytest.mark.parametrize("name,value", CUT)
def test_no_field_of_http2_becomes_two_of_http1(server, seen, name, value):
    fields = {":method": "GET", ":scheme": "http", ":path": "/hello", ":authority": "localhost"}
    fields[name] = value
    with H2(server.address) as peer:
        peer.send(headers(1, peer.block(list(fields.items()))))
        told = peer.until(lambda frame: frame.stream_id == 1 or isinstance(frame, GoAwayFrame), 3)
        assert told or peer.gone, "nothing came of it"
        refused = getattr(told, "fields", {}).get(":status", "reset")
        assert refused in ("400", "reset", "404"), refused
    assert not [it for it in seen() if it.one("x-evil") or it.all("x") or "second" in it.target]


def test_what_http2_says_of_a_length_is_checked_before_an_upstream_believes_it(server, seen):
    for length in ("3", "9"):
        with H2(server.address) as peer:
            peer.request(1, "/echo", "POST", [("content-length", length)])
            peer.send(data(1, b"hello", end_stream=True))
            assert peer.until(lambda frame: frame.stream_id == 1, 3)
            assert peer.resets.get(1) == Code.PROTOCOL_ERROR or peer.gone or peer.goaways, peer.story()
    assert not seen(), "a body that is not as long as it says is no request"


# What upstreams say: name → (bytes of an answer to GET, the statuses that a client may see).
WRONG = {
    "no answer at all": (b"", (502,)),
    "bytes that are no answer": (b"hello\r\n\r\n", (502,)),
    "a version of its own": (b"HTTP/9.9 200 OK\r\n\r\n", (502,)),
    "a head that does not end": (b"HTTP/1.1 200 OK\r\nX: y\r\n", (502,)),
    "a head that is too large": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n", (502,)),
    "a header without a colon": (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", (502,)),
    "a folded header": (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", (502,)),
    "two Content-Lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", (502,)),
    "a Content-Length that is none": (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab", (502,)),
    "a negative Content-Length": (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab", (502,)),
    "101 that nobody asked for": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", (502,)),
    "a coding that is not chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", (200, 502)),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_is_none_is_502_and_nothing_of_it_comes_through(serve, name):
    said, allowed_statuses = WRONG[name]

    def respond(request, sock):
        sock.sendall(said)
        return Upstream.CLOSE

    with Upstream(respond) as upstream, serve(log=QUIET, more=gateway(upstream)) as server:
        with Peer(server.address) as peer:
            answered = peer.request("/x")
            assert answered.status in allowed_statuses, answered
            if answered.status == 502:
                assert answered.headers["x-wharf-reason"] in ("malformed", "broken")
                # The client's connection has nothing to do with it.
                assert peer.request("/y").status == 502


def test_what_follows_an_answer_is_no_answer_to_the_next(serve):
    """Bytes behind an answer are not kept for whoever comes next on that connection."""
    def respond(request, sock):
        return answer(body=request.target.encode()) + answer(body=b"poison")

    with Upstream(respond) as upstream, serve(log=QUIET, more=gateway(upstream)) as server:
        with Peer(server.address) as peer:
            for n in range(20):
                assert peer.request(f"/{n}").body == f"/{n}".encode()


def test_a_body_longer_than_it_says_is_cut_and_its_rest_is_nobodys_answer(serve):
    def respond(request, sock):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

    with Upstream(respond) as upstream, serve(log=QUIET, more=gateway(upstream)) as server:
        for _ in range(10):
            with Peer(server.address) as peer:
                assert peer.request("/x").body == b"ab"


@pytest.mark.parametrize("said", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef0\r\n\r\n",
])
def test_an_answer_that_breaks_off_does_not_end_well(serve, said):
    def respond(request, sock):
        sock.sendall(said)
        return Upstream.CLOSE

    with Upstream(respond) as upstream, serve(log=QUIET, more=gateway(upstream)) as server:
        with Peer(server.address) as peer:
            peer.send(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            got = peer.closed(5).received
            assert got.startswith(b"HTTP/1.1 200") and b"abc" in got
            head, _, body = got.partition(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            assert not body.endswith(b"0\r\n\r\n") if not length else len(body) < 9


def test_wharfs_own_fields_come_from_no_upstream(serve):
    fields = "X-Wharf-Reason: forged\r\nx_wharf_a: 1\r\nConnection: x-private\r\nX-Private: 1\r\nServer: s\r\n"
    with Upstream(lambda *_: answer(headers=fields)) as upstream:
        with serve(log=QUIET, more=gateway(upstream)) as server, Peer(server.address) as peer:
            got = peer.request("/x").headers
            assert got["server"] == "s" and got["via"] == "1.1 wharf"
            assert not {"x-wharf-reason", "x_wharf_a", "x-private", "connection"} & set(got)

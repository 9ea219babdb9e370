"""Bytes that two parsers could read differently are refused, and nothing behind them is served."""

import pytest

from harness import Peer, Server, eventually

SECOND = "GET /hello?second HTTP/1.1\r\nHost: localhost\r\n\r\n"
HOST = "Host: localhost\r\n"


def get(headers="", line="GET /hello HTTP/1.1\r\n", host=HOST):
    return f"{line}{host}{headers}\r\n"


def post(headers, body=""):
    return f"POST /echo HTTP/1.1\r\n{HOST}{headers}\r\n{body}"


def chunked(body):
    return post("Transfer-Encoding: chunked\r\n", body)


# What is refused: name → (bytes, status, requests that the application may see).
REFUSED = {
    # Framing.
    "Content-Length and Transfer-Encoding": (
        post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"), 400, 0),
    "Transfer-Encoding and Content-Length": (
        post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400, 0),
    "Transfer-Encoding xchunked": (post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400, 0),
    "Transfer-Encoding chunked, chunked": (
        post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400, 0),
    "Transfer-Encoding gzip, chunked": (
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400, 0),
    "Transfer-Encoding chunked, identity": (
        post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 400, 0),
    "Transfer-Encoding identity": (post("Transfer-Encoding: identity\r\n"), 400, 0),
    "two Transfer-Encodings": (
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), 400, 0),
    "two equal Transfer-Encodings": (
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, 0),
    "space before the colon of Transfer-Encoding": (
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400, 0),
    "vertical tab in Transfer-Encoding": (
        post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400, 0),
    "empty Transfer-Encoding": (post("Transfer-Encoding:\r\n"), 400, 0),
    "Transfer-Encoding on HTTP/1.0": (
        f"POST /echo HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 0),
    "hexadecimal Content-Length": (post("Content-Length: 0x10\r\n"), 400, 0),
    "Content-Length with a plus": (post("Content-Length: +5\r\n", "hello"), 400, 0),
    "Content-Length with a minus": (post("Content-Length: -1\r\n"), 400, 0),
    "Content-Length list": (post("Content-Length: 5, 5\r\n", "hello"), 400, 0),
    "two equal Content-Lengths": (
        post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400, 0),
    "two Content-Lengths": (post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400, 0),
    "empty Content-Length": (post("Content-Length:\r\n"), 400, 0),
    "Content-Length with a space inside": (post("Content-Length: 1 0\r\n"), 400, 0),
    "Content-Length over 64 bits": (post("Content-Length: 99999999999999999999\r\n"), 400, 0),
    "Content-Length in quotation marks": (post('Content-Length: "5"\r\n', "hello"), 400, 0),
    "space before the colon of Content-Length": (post("Content-Length : 5\r\n", "hello"), 400, 0),
    # Chunks: the head is fine, so the application may have seen the request.
    "chunk size of 17 digits": (chunked("00000000000000005\r\nhello\r\n0\r\n\r\n"), 400, 1),
    "chunk size that ends in LF": (chunked("5;\nhello\r\n0\r\n\r\n"), 400, 1),
    "chunk size that ends in a bare LF": (chunked("5\nhello\r\n0\r\n\r\n"), 400, 1),
    "chunk size with 0x": (chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400, 1),
    "chunk size with a plus": (chunked("+5\r\nhello\r\n0\r\n\r\n"), 400, 1),
    "chunk size with a minus": (chunked("-5\r\nhello\r\n0\r\n\r\n"), 400, 1),
    "empty chunk size": (chunked("\r\nhello\r\n0\r\n\r\n"), 400, 1),
    "chunk size that is no number": (chunked("hello\r\n"), 400, 1),
    "chunk without its CRLF": (chunked("5\r\nhelloXX0\r\n\r\n"), 400, 1),
    "chunk with LF for CRLF": (chunked("5\r\nhello\n0\r\n\r\n"), 400, 1),
    "20 KB of chunk extensions": (chunked(f"5;{'x' * 20000}\r\nhello\r\n0\r\n\r\n"), 400, 1),
    "20 KB of extensions in many chunks": (
        chunked(f"1;{'x' * 200}\r\na\r\n" * 100 + "0\r\n\r\n"), 400, 1),
    "20 KB of trailers": (chunked(f"0\r\nX: {'x' * 20000}\r\n\r\n"), (400, 431), 1),
    "Content-Length as a trailer": (chunked("0\r\nContent-Length: 5\r\n\r\n"), 400, 1),
    "Transfer-Encoding as a trailer": (chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, 1),
    "Host as a trailer": (chunked("0\r\nHost: other\r\n\r\n"), 400, 1),
    # Host.
    "no Host": (get(host=""), 400, 0),
    "two Hosts": (get("Host: other\r\n"), 400, 0),
    "two equal Hosts": (get(HOST), 400, 0),
    "Host with a space": (get(host="Host: local host\r\n"), 400, 0),
    "Host with a path": (get(host="Host: localhost/x\r\n"), 400, 0),
    "Host with a user": (get(host="Host: me@localhost\r\n"), 400, 0),
    "Host with a port that is no number": (get(host="Host: localhost:http\r\n"), 400, 0),
    "Host list": (get(host="Host: localhost, other\r\n"), 400, 0),
    "Host that differs from the target": (
        get(line="GET http://other/hello HTTP/1.1\r\n"), 400, 0),
    # Lines.
    "bare LF after the request line": ("GET /hello HTTP/1.1\nHost: localhost\r\n\r\n", 400, 0),
    "bare LF after a header": ("GET /hello HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400, 0),
    "bare LF at the end of the head": ("GET /hello HTTP/1.1\r\nHost: localhost\r\n\n", 400, 0),
    "bare LF throughout": ("GET /hello HTTP/1.1\nHost: localhost\n\n", 400, 0),
    "bare CR in a header": (get("X: a\rb\r\n"), 400, 0),
    "CR CR LF": (get("X: a\r\r\n"), 400, 0),
    "NUL in a header": (get("X: a\0b\r\n"), 400, 0),
    "control character in a header": (get("X: a\x01b\r\n"), 400, 0),
    "folded header": (get("X: a\r\n b\r\n"), 400, 0),
    "folded with a tab": (get("X: a\r\n\tb\r\n"), 400, 0),
    "space before the first header": ("GET /hello HTTP/1.1\r\n Host: localhost\r\n\r\n", 400, 0),
    "header without a colon": (get("nonsense\r\n"), 400, 0),
    "header without a name": (get(": x\r\n"), 400, 0),
    "space in a header name": (get("X y: z\r\n"), 400, 0),
    "8-bit character in a header name": (get("X\xe4: z\r\n"), 400, 0),
    # Request line.
    "no version": (get(line="GET /hello\r\n"), 400, 0),
    "HTTP/0.9": ("GET /hello\r\n\r\n", 400, 0),
    "HTTP/2.0": (get(line="GET /hello HTTP/2.0\r\n"), (400, 505), 0),
    "HTTP/1.2": (get(line="GET /hello HTTP/1.2\r\n"), (400, 505), 0),
    "lower case http": (get(line="GET /hello http/1.1\r\n"), (400, 505), 0),
    "two spaces": (get(line="GET  /hello HTTP/1.1\r\n"), 400, 0),
    "space at the end of the line": (get(line="GET /hello HTTP/1.1 \r\n"), 400, 0),
    "tab for a space": (get(line="GET\t/hello HTTP/1.1\r\n"), 400, 0),
    "space in the target": (get(line="GET /hel lo HTTP/1.1\r\n"), 400, 0),
    "NUL in the target": (get(line="GET /hel\0lo HTTP/1.1\r\n"), 400, 0),
    "fragment in the target": (get(line="GET /hello#top HTTP/1.1\r\n"), 400, 0),
    "relative target": (get(line="GET hello HTTP/1.1\r\n"), 400, 0),
    "method that is no token": (get(line="GE(T /hello HTTP/1.1\r\n"), 400, 0),
    "asterisk with GET": (get(line="GET * HTTP/1.1\r\n"), 400, 0),
    "CONNECT": ("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", (400, 405, 501), 0),
    "a TLS hello": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x17" * 600, 400, 0),
    "the HTTP/2 preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505), 0),
    "many blank lines": ("\r\n" * 2000, 400, 0),
    # Sizes.
    "101 headers": (get("".join(f"X-{n}: y\r\n" for n in range(100))), 431, 0),
    "a header of 33 KiB": (get(f"X: {'x' * (33 << 10)}\r\n"), 431, 0),
    "headers of 33 KiB": (get("".join(f"X-{n}: {'x' * 700}\r\n" for n in range(48))), 431, 0),
    "a header that does not end": ("GET /hello HTTP/1.1\r\nX: " + "x" * (40 << 10), 431, 0),
    "a target of 9 KiB": (get(line=f"GET /{'x' * (9 << 10)} HTTP/1.1\r\n"), 414, 0),
    "a method that does not end": ("G" * (40 << 10), (400, 431, 501), 0),
}

# What is served: name → (bytes, status).
SERVED = {
    "plain": (get(), 200),
    "one blank line before": ("\r\n" + get(), 200),
    "absolute target": (get(line="GET http://localhost/hello HTTP/1.1\r\n"), 200),
    "Host with a port": (get(host="Host: localhost:8080\r\n"), 200),
    "Host as an IPv6 address": (get(host="Host: [::1]:8080\r\n"), 200),
    "Host in capitals": (get(host="HOST: localhost\r\n"), 200),
    "space around a value": (get("X:   y\t \r\n"), 200),
    "tab in a value": (get("X: a\tb\r\n"), 200),
    "empty value": (get("X:\r\n"), 200),
    "8-bit characters in a value": (get("X: \xe4\xff\r\n"), 200),
    "100 headers": (get("".join(f"X-{n}: y\r\n" for n in range(99))), 200),
    "a target of 8000 bytes": (get(line=f"GET /hello?{'x' * 7990} HTTP/1.1\r\n"), 200),
    "OPTIONS *": (get(line="OPTIONS * HTTP/1.1\r\n"), (200, 204, 404, 405)),
    "Content-Length 0": (get("Content-Length: 0\r\n"), 200),
    "chunks": (chunked("5\r\nhello\r\n0\r\n\r\n"), 200),
    "chunks with an extension": (chunked('5;a=b;c="d"\r\nhello\r\n0\r\n\r\n'), 200),
    "chunk size in capitals": (chunked("A\r\n0123456789\r\n0\r\n\r\n"), 200),
    "chunk size with zeros": (chunked("0005\r\nhello\r\n000\r\n\r\n"), 200),
    "chunks with trailers": (chunked("5\r\nhello\r\n0\r\nX: y\r\n\r\n"), 200),
    "Transfer-Encoding in capitals": (
        post("TRANSFER-ENCODING: CHUNKED\r\n", "0\r\n\r\n"), 200),
    "Connection: keep-alive": (get("Connection: keep-alive\r\n"), 200),
    "an upgrade that nobody knows": (get("Connection: upgrade\r\nUpgrade: nonsense/9\r\n"), 200),
    "a method that nobody knows": (get(line="BREW /hello HTTP/1.1\r\n"), (405, 501)),
    "a path that nobody knows": (get(line="GET /nowhere HTTP/1.1\r\n"), 404),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("strict")) as server:
        yield server


def statuses(received):
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def request_count(server):
    return int(server.metrics().total("wharf_requests_total"))


def allowed(status):
    return status if isinstance(status, tuple) else (status,)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_and_nothing_behind_it_is_served(server, name):
    data, status, seen = REFUSED[name]
    before = request_count(server)
    size = {413, 414, 431} & set(allowed(status))
    with Peer(server.address) as peer:
        peer.send(data + SECOND)
        closed = peer.closed(3)
    answers = statuses(closed.received)
    assert len(answers) <= 1 and b"second" not in closed.received
    if seen == 0:
        assert answers and answers[0] in allowed(status), closed.received[:200]
        assert b"connection: close" in closed.received.lower()
    else:
        # An echo may have begun to answer before the mistake; then the answer must not end well.
        assert answers and answers[0] in (*allowed(status), 200), closed.received[:200]
        if answers[0] == 200:
            assert not closed.received.endswith(b"0\r\n\r\n"), "the broken body passed for a whole one"
    assert eventually(lambda: server.active() == 0)
    assert request_count(server) - before <= seen
    assert not [entry for entry in server.requests() if "second" in entry.get("target", "")]
    reason = eventually(lambda: [
        entry["reason"] for entry in server.lines() if entry.get("message") == "connection closed"])
    assert reason[-1] in {"bad_request", "message_too_large" if size else "bad_request",
                          "protocol_error"}


@pytest.mark.parametrize("name", SERVED)
def test_it_is_served_and_so_is_what_follows(server, name):
    data, status = SERVED[name]
    before = request_count(server)
    with Peer(server.address) as peer:
        peer.send(data)
        assert peer.response().status in allowed(status)
        peer.send(SECOND)
        assert peer.response().status == 200
    assert request_count(server) - before in (1, 2)


def test_the_books_have_one_reason_for_each_refused_connection(serve):
    cases = [(data, status) for data, status, seen in REFUSED.values() if seen == 0]
    large = sum(1 for _, status in cases if status in (413, 414, 431))
    uncertain = sum(1 for _, status in cases if isinstance(status, tuple))
    with serve() as server:
        for data, _ in cases:
            with Peer(server.address) as peer:
                peer.send(data)
                peer.closed(3)
        assert eventually(lambda: server.active() == 0)
        metrics = server.metrics()
        ended = metrics.by("wharf_connections_closed_total", "reason")
        assert sum(ended.values()) == len(cases)
        assert set(ended) <= {"bad_request", "message_too_large"}
        assert abs(ended.get("message_too_large", 0) - large) <= uncertain
        assert metrics.total("wharf_requests_total", status_class="2xx") == 0


def test_http_1_0_needs_no_host_and_closes(server):
    with Peer(server.address) as peer:
        peer.send("GET /hello HTTP/1.0\r\n\r\n")
        answer = peer.response()
        assert (answer.status, answer.body) == (200, b"Hello, World!")
        assert peer.closed(2).received == b""


def test_pipelined_requests_are_answered_in_order(server):
    with Peer(server.address) as peer:
        peer.send("".join(get(line=f"GET /bytes?n={n} HTTP/1.1\r\n") for n in range(1, 30)))
        assert [len(peer.response().body) for _ in range(1, 30)] == list(range(1, 30))


def test_expect_100_continue_is_answered(server):
    with Peer(server.address) as peer:
        peer.send(post("Content-Length: 5\r\nExpect: 100-continue\r\n"))
        # An echo may begin its answer at once, which tells the peer as much.
        assert eventually(lambda: peer.is_open() and peer.buffer)
        assert peer.buffer.startswith((b"HTTP/1.1 100 ", b"HTTP/1.1 200 "))
        peer.send("hello")
        assert peer.response().body == b"hello"


def test_a_request_byte_by_byte_is_served_like_any_other(server):
    with Peer(server.address) as peer:
        for byte in chunked("5\r\nhello\r\n0\r\n\r\n").encode():
            peer.send(bytes([byte]))
        assert peer.response().body == b"hello"


@pytest.mark.parametrize("declared", [True, False], ids=["content-length", "chunked"])
def test_a_body_over_max_body_size_is_413(serve, declared):
    with serve({"max_body_size": "1MiB"}) as server:
        with server.expecting(closed={"message_too_large": 1}), Peer(server.address) as peer:
            if declared:
                peer.send(post(f"Content-Length: {(1 << 20) + 1}\r\n"))
            else:
                peer.send(post("Transfer-Encoding: chunked\r\n", f"{(1 << 20) + 1:x}\r\n"))
            closed = peer.closed(3)
            answers = statuses(closed.received)
            assert len(answers) == 1 and answers[0] in ((413,) if declared else (413, 200))
        with Peer(server.address) as peer:
            peer.send(post("Content-Length: 5\r\n", "hello"))
            assert peer.response().status == 200


def test_limits_of_a_head_are_those_of_the_pool(serve):
    pool = {"max_header_size": "16KiB", "max_headers": 64, "max_target": "1KiB"}
    cases = [
        (get("".join(f"X-{n}: y\r\n" for n in range(64))), 431),
        (get(f"X: {'x' * (17 << 10)}\r\n"), 431),
        (get(line=f"GET /{'x' * 1100} HTTP/1.1\r\n"), 414),
        (get("".join(f"X-{n}: y\r\n" for n in range(63))), 200),
    ]
    with serve(pool) as server:
        for data, status in cases:
            with Peer(server.address) as peer:
                peer.send(data)
                assert peer.response().status == status

"""A handler that answers and leaves the request body unread: the rest is never a request."""

import time

import pytest

from harness import Peer, eventually

SMUGGLED = b"GET /hello?smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
# Answered without a look at the body: a method that is not allowed, a path that is nowhere, a panic,
# a page, and an answer that comes later.
WHERE = [
    "POST /hello", "POST /nowhere", "GET /hello?early", "GET /panic", "GET /bytes?n=10",
    "GET /slow?ms=300",
]


def head(request, framing):
    return f"{request} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n".encode()


def assert_not_served(server, received):
    assert received.count(b"HTTP/1.1 ") <= 1, received
    assert received.count(b"Hello, World!") <= 1, received
    assert eventually(lambda: server.active() == 0, 3.0)
    assert server.metrics().total("wharf_requests_total") == 1
    assert not [entry for entry in server.requests() if "smuggled" in entry["target"]]


@pytest.mark.parametrize("request_line", WHERE)
@pytest.mark.parametrize("parts", ["at once", "head first", "after the answer", "byte by byte"])
def test_the_rest_of_a_body_is_not_served_as_a_request(serve, request_line, parts):
    with serve(may_panic=True) as server, Peer(server.address) as peer:
        # More is announced than comes, so that the body does not end before the smuggled request.
        start = head(request_line, "Content-Length: 100000\r\n")
        if parts == "at once":
            peer.send(start + SMUGGLED * 3)
        elif parts == "head first":
            peer.send(start)
            time.sleep(0.05)
            peer.send(SMUGGLED)
        elif parts == "after the answer":
            peer.send(start)
            received = peer.response()
            assert received.status in (200, 404, 405, 500)
            try:
                peer.send(SMUGGLED)
            except OSError:
                pass
        else:
            try:
                peer.send(start)
                for byte in SMUGGLED:
                    peer.send(bytes([byte]))
                    time.sleep(0.002)
            except OSError:
                pass
        # Such a connection ends by itself, or waits for the rest of the body and its deadline.
        closed = peer.closed(8)
        assert_not_served(server, closed.received)


@pytest.mark.parametrize("request_line", WHERE)
def test_the_rest_of_a_chunk_is_not_served_as_a_request(serve, request_line):
    with serve(may_panic=True) as server, Peer(server.address) as peer:
        peer.send(head(request_line, "Transfer-Encoding: chunked\r\n") + b"ffff\r\n" + SMUGGLED)
        assert_not_served(server, peer.closed(8).received)


@pytest.mark.parametrize("size", [len(SMUGGLED), 100, 70_000])
def test_after_a_body_that_was_left_unread_the_next_request_is_the_next_or_none(serve, size):
    body = SMUGGLED.ljust(size, b"x")
    with serve() as server, Peer(server.address) as peer:
        try:
            peer.send(head("POST /hello", f"Content-Length: {size}\r\n") + body)
            peer.send(head("GET /bytes?n=5", ""))
        except OSError:
            pass
        answers = peer.closed(2, must=False)
        received = answers.received if answers else peer.buffer
        assert received.startswith(b"HTTP/1.1 405")
        assert b"Hello, World!" not in received
        targets = eventually(lambda: [entry["target"] for entry in server.requests()])
        assert targets in (["/hello"], ["/hello", "/bytes?n=5"])

"""Requests that are malformed: `http2/8.1`, `8.2`."""

from harness.h2 import PUSH_PROMISE, Code, data, headers, raw

from . import expect
from .cases import case


def malformed(place, sends, make):
    """A GET whose header fields are what `make` makes of an ordinary request's."""
    @case(place, sends)
    def _(peer):
        peer.send(headers(1, peer.block(make(peer.fields()))))
        expect.stream_error(peer, Code.PROTOCOL_ERROR)


def without(name):
    return lambda fields: [field for field in fields if field[0] != name]


def twice(name):
    return lambda fields: fields + [field for field in fields if field[0] == name]


def plus(*more):
    return lambda fields: fields + list(more)


@case("http2/8.1/1", "a second HEADERS without END_STREAM")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(data(1, b"test"))
    peer.send(headers(1, peer.block([("x-test", "ok")]), end_stream=False))
    expect.stream_error(peer, Code.PROTOCOL_ERROR)


malformed("http2/8.1.2/1", "a field name in upper case", plus(("X-TEST", "ok")))
malformed("http2/8.1.2.1/1", "an unknown pseudo-header", plus((":test", "ok")))
malformed("http2/8.1.2.1/2", "the pseudo-header of a response", plus((":status", "200")))


@case("http2/8.1.2.1/3", "a pseudo-header as a trailer")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(data(1, b"test"))
    peer.send(headers(1, peer.block([(":method", "POST")]), end_stream=False))
    expect.stream_error(peer, Code.PROTOCOL_ERROR)


malformed("http2/8.1.2.1/4", "a pseudo-header after a field",
          lambda fields: [("x-test", "ok"), *fields])
malformed("http2/8.1.2.2/1", "a field of the connection", plus(("connection", "keep-alive")))
malformed("http2/8.1.2.2/2", "TE with more than trailers",
          plus(("trailers", "test"), ("te", "trailers, deflate")))
malformed("http2/8.1.2.3/1", "an empty :path",
          lambda fields: [(name, "" if name == ":path" else value) for name, value in fields])
malformed("http2/8.1.2.3/2", "no :method", without(":method"))
malformed("http2/8.1.2.3/3", "no :scheme", without(":scheme"))
malformed("http2/8.1.2.3/4", "no :path", without(":path"))
malformed("http2/8.1.2.3/5", ":method twice", twice(":method"))
malformed("http2/8.1.2.3/6", ":scheme twice", twice(":scheme"))
malformed("http2/8.1.2.3/7", ":path twice", twice(":path"))


@case("http2/8.1.2.6/1", "a content-length that is not the length of DATA")
def _(peer):
    peer.request(path="/count", method="POST", more=[("content-length", "1")])
    peer.send(data(1, b"test", end_stream=True))
    expect.stream_error(peer, Code.PROTOCOL_ERROR)


@case("http2/8.1.2.6/2", "a content-length that is not the sum of several DATA")
def _(peer):
    peer.request(path="/count", method="POST", more=[("content-length", "1")])
    peer.send(data(1, b"test"))
    peer.send(data(1, b"test", end_stream=True))
    expect.stream_error(peer, Code.PROTOCOL_ERROR)


@case("http2/8.2/1", "PUSH_PROMISE")
def _(peer):
    block = peer.block(peer.fields())
    peer.send(raw(PUSH_PROMISE, flags=0x4, stream=1, payload=b"\x00\x00\x00\x03" + block))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)

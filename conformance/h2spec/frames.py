"""Each kind of frame, but for flow control: `http2/6.1` to `6.8`, `6.10`."""

from harness.h2 import (
    CONTINUATION, DATA, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, Code, Setting,
    continuation, data, ping, priority, raw, settings,
)

from . import expect
from .cases import case

DUMMY = [("x-dummy0", "x" * 4000)]
OPAQUE = b"h2spec\0\0"


@case("http2/6.1/1", "DATA on stream 0")
def _(peer):
    peer.send(raw(DATA, flags=1, payload=b"test"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.1/2", "DATA on a stream that is neither open nor half-closed (local)")
def _(peer):
    peer.request(path="/slow?ms=1000", method="GET", end_stream=True)
    peer.send(data(1, b"test", end_stream=True))
    expect.stream_error(peer, Code.STREAM_CLOSED)


@case("http2/6.1/3", "DATA with more padding than payload")
def _(peer):
    peer.request(path="/count", method="POST", more=[("content-length", "4")])
    peer.send(raw(DATA, flags=0x9, stream=1, payload=b"\x06Test"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.2/1", "HEADERS without END_HEADERS, then PRIORITY")
def _(peer):
    peer.request(end_stream=False, end_headers=False)
    peer.send(priority(1), continuation(1, peer.block(DUMMY)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.2/2", "HEADERS without END_HEADERS, then HEADERS of another stream")
def _(peer):
    peer.request(end_stream=False, end_headers=False)
    peer.request(stream=3)
    peer.send(continuation(1, peer.block(DUMMY)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.2/3", "HEADERS on stream 0")
def _(peer):
    peer.send(raw(HEADERS, flags=0x5, payload=peer.block(peer.fields())))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.2/4", "HEADERS with more padding than payload")
def _(peer):
    block = peer.block(peer.fields())
    peer.send(raw(HEADERS, flags=0xd, stream=1, payload=bytes([len(block) + 2]) + block))
    expect.stream_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.3/1", "PRIORITY on stream 0")
def _(peer):
    peer.send(raw(PRIORITY, payload=b"\x00\x00\x00\x00\xff"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.3/2", "PRIORITY of 4 octets")
def _(peer):
    peer.request()
    peer.send(raw(PRIORITY, stream=1, payload=b"\x80\x00\x00\x01"))
    expect.stream_error(peer, Code.FRAME_SIZE_ERROR)


@case("http2/6.4/1", "RST_STREAM on stream 0")
def _(peer):
    peer.send(raw(RST_STREAM, payload=b"\x00\x00\x00\x08"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.4/2", "RST_STREAM on an idle stream")
def _(peer):
    peer.send(raw(RST_STREAM, stream=1, payload=b"\x00\x00\x00\x08"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.4/3", "RST_STREAM of 3 octets")
def _(peer):
    peer.request()
    peer.send(raw(RST_STREAM, stream=1, payload=bytes(3)))
    expect.stream_error(peer, Code.FRAME_SIZE_ERROR)


@case("http2/6.5/1", "SETTINGS with ACK and a payload")
def _(peer):
    peer.send(raw(SETTINGS, flags=1, payload=b"\x00"))
    expect.connection_error(peer, Code.FRAME_SIZE_ERROR)


@case("http2/6.5/2", "SETTINGS on a stream")
def _(peer):
    peer.send(raw(SETTINGS, stream=1, payload=b"\x00\x03\x00\x00\x00\x64"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.5/3", "SETTINGS of 3 octets")
def _(peer):
    peer.send(raw(SETTINGS, payload=b"\x00\x03\x00"))
    expect.stream_error(peer, Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR)


@case("http2/6.5.2/1", "SETTINGS_ENABLE_PUSH of 2")
def _(peer):
    peer.send(raw(SETTINGS, payload=b"\x00\x02\x00\x00\x00\x02"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.5.2/2", "SETTINGS_INITIAL_WINDOW_SIZE of 2^31")
def _(peer):
    peer.send(raw(SETTINGS, payload=b"\x00\x04\x80\x00\x00\x00"))
    expect.connection_error(peer, Code.FLOW_CONTROL_ERROR)


@case("http2/6.5.2/3", "SETTINGS_MAX_FRAME_SIZE of 2^14 - 1")
def _(peer):
    peer.send(raw(SETTINGS, payload=b"\x00\x05\x00\x00\x3f\xff"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.5.2/4", "SETTINGS_MAX_FRAME_SIZE of 2^24")
def _(peer):
    peer.send(raw(SETTINGS, payload=b"\x00\x05\x01\x00\x00\x00"))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.5.2/5", "an unknown setting")
def _(peer):
    peer.send(raw(SETTINGS, payload=b"\x00\xff\x00\x00\x00\x01"), ping())
    expect.ponged(peer)


@case("http2/6.5.3/1", "SETTINGS_INITIAL_WINDOW_SIZE twice in one frame")
def _(peer):
    peer.send(raw(SETTINGS, payload=b"\x00\x04\x00\x00\x00\x64" b"\x00\x04\x00\x00\x00\x01"))
    expect.acknowledged(peer)
    peer.request()
    expect.data(peer, length=1)


@case("http2/6.5.3/2", "SETTINGS, to see them acknowledged")
def _(peer):
    peer.send(settings({Setting.ENABLE_PUSH: 0}))
    expect.acknowledged(peer)


@case("http2/6.7/1", "PING")
def _(peer):
    peer.send(ping(OPAQUE))
    expect.ponged(peer, OPAQUE)


@case("http2/6.7/2", "PING with ACK, which is not answered")
def _(peer):
    peer.send(ping(b"invalid\0", ack=True), ping(OPAQUE))
    expect.ponged(peer, OPAQUE)


@case("http2/6.7/3", "PING on a stream")
def _(peer):
    peer.send(raw(PING, stream=1, payload=bytes(8)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.7/4", "PING of 6 octets")
def _(peer):
    peer.send(raw(PING, payload=bytes(6)))
    expect.connection_error(peer, Code.FRAME_SIZE_ERROR)


@case("http2/6.8/1", "GOAWAY on a stream")
def _(peer):
    peer.send(raw(GOAWAY, stream=1, payload=bytes(8)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.10/1", "several CONTINUATION after HEADERS")
def _(peer):
    peer.request(end_headers=False)
    peer.send(continuation(1, peer.block(DUMMY), end_headers=False))
    peer.send(continuation(1, peer.block(DUMMY)))
    expect.answered(peer)


@case("http2/6.10/2", "CONTINUATION without END_HEADERS, then DATA")
def _(peer):
    peer.request(path="/count", method="POST", end_headers=False)
    peer.send(continuation(1, peer.block(DUMMY), end_headers=False))
    peer.send(data(1, b"test", end_stream=True))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.10/3", "CONTINUATION on stream 0")
def _(peer):
    peer.request(end_headers=False)
    peer.send(raw(CONTINUATION, flags=0x4, payload=peer.block(DUMMY)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.10/4", "CONTINUATION after HEADERS with END_HEADERS")
def _(peer):
    peer.request()
    peer.send(continuation(1, peer.block(DUMMY)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.10/5", "CONTINUATION after CONTINUATION with END_HEADERS")
def _(peer):
    peer.request(end_headers=False)
    peer.send(continuation(1, peer.block(DUMMY)))
    peer.send(continuation(1, peer.block(DUMMY)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.10/6", "CONTINUATION after DATA")
def _(peer):
    peer.request(path="/count", method="POST", end_headers=False)
    peer.send(data(1, b"test", end_stream=True))
    peer.send(continuation(1, peer.block(DUMMY), end_headers=False))
    peer.send(raw(CONTINUATION, flags=0x4, payload=peer.block(DUMMY)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)

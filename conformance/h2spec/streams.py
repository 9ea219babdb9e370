"""States, identifiers, number and dependencies of streams: `http2/5.1`, `5.3`."""

from harness.h2 import (
    Code, Setting, continuation, data, headers, priority, rst_stream, settings, window_update,
)

from . import expect
from .cases import case

# A stream that stays open while its body is awaited, and one that is half-closed for a while.
OPEN = {"path": "/count", "method": "POST"}
HALF_CLOSED = {"path": "/slow?ms=1000"}
DUMMY = [("x-dummy0", "x" * 4000)]


@case("http2/5.1/1", "idle: DATA")
def _(peer):
    peer.send(data(1, b"test", end_stream=True))
    expect.stream_error(peer, Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)


@case("http2/5.1/2", "idle: RST_STREAM")
def _(peer):
    peer.send(rst_stream(1))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/5.1/3", "idle: WINDOW_UPDATE")
def _(peer):
    peer.send(window_update(1, 100))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/5.1/4", "idle: CONTINUATION")
def _(peer):
    peer.send(continuation(1, peer.block(peer.fields())))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/5.1/5", "half-closed (remote): DATA")
def _(peer):
    peer.request(**HALF_CLOSED)
    peer.send(data(1, b"test", end_stream=True))
    expect.stream_error(peer, Code.STREAM_CLOSED)


@case("http2/5.1/6", "half-closed (remote): HEADERS")
def _(peer):
    peer.request(**HALF_CLOSED)
    peer.request()
    expect.stream_error(peer, Code.STREAM_CLOSED)


@case("http2/5.1/7", "half-closed (remote): CONTINUATION")
def _(peer):
    peer.request(**HALF_CLOSED)
    peer.send(continuation(1, peer.block(peer.fields())))
    expect.stream_error(peer, Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)


@case("http2/5.1/8", "closed by RST_STREAM: DATA")
def _(peer):
    peer.request(**OPEN)
    peer.send(rst_stream(1))
    peer.send(data(1, b"test", end_stream=True))
    expect.stream_error(peer, Code.STREAM_CLOSED)


@case("http2/5.1/9", "closed by RST_STREAM: HEADERS")
def _(peer):
    peer.request(**OPEN)
    peer.send(rst_stream(1))
    peer.request()
    expect.stream_error(peer, Code.STREAM_CLOSED)


@case("http2/5.1/10", "closed by RST_STREAM: CONTINUATION")
def _(peer):
    peer.request(**OPEN)
    peer.send(rst_stream(1))
    peer.send(continuation(1, peer.block(DUMMY)))
    expect.stream_error(peer, Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)


@case("http2/5.1/11", "closed: DATA")
def _(peer):
    peer.request()
    expect.stream_closed(peer)
    peer.send(data(1, b"test", end_stream=True))
    expect.stream_error(peer, Code.STREAM_CLOSED)


@case("http2/5.1/12", "closed: HEADERS")
def _(peer):
    peer.request()
    expect.stream_closed(peer)
    peer.request()
    expect.connection_error(peer, Code.STREAM_CLOSED)


@case("http2/5.1/13", "closed: CONTINUATION")
def _(peer):
    peer.request()
    expect.stream_closed(peer)
    peer.send(continuation(1, peer.block(DUMMY)))
    expect.connection_error(peer, Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)


@case("http2/5.1.1/1", "an even stream identifier")
def _(peer):
    peer.request(stream=2)
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/5.1.1/2", "a stream identifier below the last")
def _(peer):
    peer.request(stream=5)
    peer.request(stream=3)
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/5.1.2/1", "more streams at once than advertised")
def _(peer):
    most = peer.settings.get(Setting.MAX_CONCURRENT_STREAMS)
    assert most is not None, "the server advertises no limit"
    peer.send(settings({Setting.INITIAL_WINDOW_SIZE: 0}))
    block = peer.block(peer.fields())
    peer.send(*(headers(1 + 2 * n, block) for n in range(most + 1)))
    expect.stream_error(peer, Code.PROTOCOL_ERROR, Code.REFUSED_STREAM)


@case("http2/5.3.1/1", "HEADERS that depend on themselves")
def _(peer):
    peer.request(depends_on=1)
    expect.stream_error(peer, Code.PROTOCOL_ERROR)


@case("http2/5.3.1/2", "PRIORITY that depends on itself")
def _(peer):
    peer.send(priority(1, depends_on=1))
    expect.stream_error(peer, Code.PROTOCOL_ERROR)

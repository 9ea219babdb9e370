"""What any server must take: `generic/`."""

from hyperframe.frame import SettingsFrame

from harness.h2 import (
    PREFACE, Setting, continuation, data, goaway, headers, ping, priority, rst_stream, settings,
    window_update,
)

from . import expect
from .cases import case

OPAQUE = b"h2spec\0\0"


@case("generic/1/1", "the preface of a client", greeted=False)
def _(peer):
    peer.send(PREFACE, settings({Setting.INITIAL_WINDOW_SIZE: 65535}))
    first = peer.next(peer.patience)
    assert isinstance(first, SettingsFrame) and "ACK" not in first.flags, peer.story()


@case("generic/2/1", "PRIORITY on an idle stream")
def _(peer):
    peer.send(priority(1), ping())
    expect.ponged(peer)


@case("generic/2/2", "WINDOW_UPDATE on a half-closed (remote) stream")
def _(peer):
    peer.send(settings({Setting.INITIAL_WINDOW_SIZE: 0}))
    peer.request()
    peer.send(window_update(1, 1))
    expect.data(peer)


@case("generic/2/3", "PRIORITY on a half-closed (remote) stream")
def _(peer):
    peer.send(settings({Setting.INITIAL_WINDOW_SIZE: 0}))
    peer.request()
    peer.send(priority(1))
    peer.send(window_update(1, 1))
    expect.data(peer)


@case("generic/2/4", "RST_STREAM on a half-closed (remote) stream")
def _(peer):
    peer.request()
    peer.send(rst_stream(1))
    peer.send(ping())
    expect.ponged_or_closed(peer)


@case("generic/2/5", "PRIORITY on a closed stream")
def _(peer):
    peer.request()
    expect.stream_closed(peer)
    peer.send(priority(1), ping())
    expect.ponged(peer)


@case("generic/3.1/1", "DATA")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(data(1, b"test", end_stream=True))
    expect.answered(peer)


@case("generic/3.1/2", "several DATA")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(data(1, b"test"))
    peer.send(data(1, b"test", end_stream=True))
    expect.answered(peer)


@case("generic/3.1/3", "DATA with padding")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(data(1, b"test", end_stream=True, pad=5))
    expect.answered(peer)


@case("generic/3.2/1", "HEADERS")
def _(peer):
    peer.request()
    expect.answered(peer)


@case("generic/3.2/2", "HEADERS with padding")
def _(peer):
    peer.request(pad=8)
    expect.answered(peer)


@case("generic/3.2/3", "HEADERS with priority")
def _(peer):
    peer.request(depends_on=0, weight=255)
    expect.answered(peer)


@case("generic/3.3/1", "PRIORITY of weight 1")
def _(peer):
    peer.send(priority(1, weight=0))
    peer.request()
    expect.answered(peer)


@case("generic/3.3/2", "PRIORITY of weight 256")
def _(peer):
    peer.send(priority(1, weight=255))
    peer.request()
    expect.answered(peer)


@case("generic/3.3/3", "PRIORITY with a dependency")
def _(peer):
    peer.send(priority(3, depends_on=1, weight=0))
    peer.request()
    expect.answered(peer)


@case("generic/3.3/4", "PRIORITY that is exclusive")
def _(peer):
    peer.send(priority(1, weight=0, exclusive=True))
    peer.request()
    expect.answered(peer)


@case("generic/3.3/5", "PRIORITY for an idle stream, then HEADERS for a lower one")
def _(peer):
    peer.send(priority(3))
    peer.request()
    expect.answered(peer)


@case("generic/3.4/1", "RST_STREAM")
def _(peer):
    peer.request(end_stream=False)
    peer.send(rst_stream(1))
    peer.send(ping())
    expect.ponged_or_closed(peer)


@case("generic/3.5/1", "SETTINGS")
def _(peer):
    peer.send(settings({
        Setting.HEADER_TABLE_SIZE: 4096, Setting.ENABLE_PUSH: 1,
        Setting.MAX_CONCURRENT_STREAMS: 100, Setting.INITIAL_WINDOW_SIZE: 65535,
        Setting.MAX_FRAME_SIZE: 16384, Setting.MAX_HEADER_LIST_SIZE: 100,
    }))
    expect.acknowledged(peer)


@case("generic/3.7/1", "PING")
def _(peer):
    peer.send(ping(OPAQUE))
    expect.ponged(peer, OPAQUE)


@case("generic/3.8/1", "GOAWAY")
def _(peer):
    peer.send(goaway(debug=b"h2spec"), ping(OPAQUE))
    expect.ponged_or_closed(peer, OPAQUE)


@case("generic/3.9/1", "WINDOW_UPDATE of the connection")
def _(peer):
    peer.send(window_update(0, 1), ping())
    expect.ponged(peer)


@case("generic/3.9/2", "WINDOW_UPDATE of a stream")
def _(peer):
    peer.request()
    peer.send(window_update(1, 1))
    expect.answered(peer)


@case("generic/3.10/1", "CONTINUATION")
def _(peer):
    block = peer.block(peer.fields())
    peer.send(headers(1, block[:5], end_headers=False), continuation(1, block[5:]))
    expect.answered(peer)


@case("generic/3.10/2", "several CONTINUATION")
def _(peer):
    block = peer.block(peer.fields())
    peer.send(headers(1, block[:5], end_headers=False))
    peer.send(continuation(1, block[5:10], end_headers=False), continuation(1, block[10:]))
    expect.answered(peer)


@case("generic/4/1", "a GET request")
def _(peer):
    peer.request()
    expect.answered(peer)


@case("generic/4/2", "a HEAD request")
def _(peer):
    peer.request(method="HEAD")
    expect.answered(peer)


@case("generic/4/3", "a POST request")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(data(1, b"test", end_stream=True))
    expect.answered(peer)


@case("generic/4/4", "a POST request with trailers")
def _(peer):
    peer.request(path="/count", method="POST", more=[("trailer", "x-test")])
    peer.send(data(1, b"test"), headers(1, peer.block([("x-test", "ok")])))
    expect.answered(peer)

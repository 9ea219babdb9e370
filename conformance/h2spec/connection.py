"""The beginning of a connection, its errors and its extensions: `http2/3.5`, `4`, `5.4`, `5.5`, `7`."""

from hyperframe.frame import GoAwayFrame, SettingsFrame

from harness.h2 import (
    DATA, HEADERS, PING, PREFACE, Code, Setting, continuation, data, goaway, headers,
    ping, priority, raw, rst_stream, settings,
)

from . import expect
from .cases import case

UNKNOWN, OPAQUE = 0x16, b"h2spec\0\0"
LARGE = [(f"x-dummy{n}", "x" * 4000) for n in range(5)]


@case("http2/3.5/1", "the preface of a client, to see what the server says first", greeted=False)
def _(peer):
    peer.send(PREFACE, settings({Setting.INITIAL_WINDOW_SIZE: 65535}))
    first = peer.next(peer.patience)
    assert isinstance(first, SettingsFrame) and "ACK" not in first.flags, peer.story()


@case("http2/3.5/2", "an invalid preface", greeted=False)
def _(peer):
    peer.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
    assert peer.closed(peer.patience, must=False), "still open"


@case("http2/4.1/1", "a frame of unknown type")
def _(peer):
    peer.send(raw(UNKNOWN, payload=bytes(8)), ping())
    expect.ponged(peer)


@case("http2/4.1/2", "a frame with undefined flags")
def _(peer):
    peer.send(raw(PING, flags=0x16, payload=bytes(8)))
    expect.ponged(peer)


@case("http2/4.1/3", "a frame with the reserved bit")
def _(peer):
    peer.send(raw(PING, flags=0x16, stream=1 << 31, payload=bytes(8)))
    expect.ponged(peer)


@case("http2/4.2/1", "DATA of 2^14 octets")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(data(1, b"x" * 16384, end_stream=True))
    expect.answered(peer)


@case("http2/4.2/2", "DATA above SETTINGS_MAX_FRAME_SIZE")
def _(peer):
    size = peer.settings.get(Setting.MAX_FRAME_SIZE, 16384) + 1
    peer.request(path="/count", method="POST")
    peer.send(raw(DATA, flags=1, stream=1, payload=b"x" * size))
    expect.stream_error(peer, Code.FRAME_SIZE_ERROR)


@case("http2/4.2/3", "HEADERS above SETTINGS_MAX_FRAME_SIZE")
def _(peer):
    size = peer.settings.get(Setting.MAX_FRAME_SIZE, 16384) + 1
    block = peer.block(peer.fields() + LARGE).ljust(size, b"\x82")
    peer.send(raw(HEADERS, flags=5, stream=1, payload=block))
    expect.connection_error(peer, Code.FRAME_SIZE_ERROR)


@case("http2/4.3/1", "an invalid header block")
def _(peer):
    peer.send(headers(1, b"\x40"))
    expect.connection_error(peer, Code.COMPRESSION_ERROR)


@case("http2/4.3/2", "PRIORITY within a header block")
def _(peer):
    peer.request(end_stream=False, end_headers=False)
    peer.send(priority(1), continuation(1, peer.block(LARGE[:1])))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/4.3/3", "HEADERS of another stream within a header block")
def _(peer):
    peer.request(end_stream=False, end_headers=False)
    peer.request(stream=3)
    peer.send(continuation(1, peer.block(LARGE[:1])))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/5.4.1/1", "an invalid PING, to see the connection closed")
def _(peer):
    peer.send(raw(PING, stream=3, payload=bytes(8)))
    expect.closed(peer)


@case("http2/5.4.1/2", "an invalid PING, to see GOAWAY (strict)")
def _(peer):
    peer.send(raw(PING, stream=3, payload=bytes(8)))
    found = peer.until(lambda f: isinstance(f, GoAwayFrame), peer.patience)
    assert found and found.error_code == Code.PROTOCOL_ERROR, peer.story()


@case("http2/5.5/1", "a frame of an unknown extension")
def _(peer):
    peer.send(raw(UNKNOWN, payload=bytes(8)), ping())
    expect.ponged(peer)


@case("http2/5.5/2", "a frame of an unknown extension within a header block")
def _(peer):
    peer.request(end_headers=False)
    peer.send(raw(UNKNOWN, payload=bytes(8)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/7/1", "GOAWAY with an unknown code")
def _(peer):
    peer.send(goaway(code=0xff), ping(OPAQUE))
    expect.ponged_or_closed(peer, OPAQUE)


@case("http2/7/2", "RST_STREAM with an unknown code")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(rst_stream(1, code=0xff))
    peer.send(ping())
    expect.ponged_or_closed(peer)

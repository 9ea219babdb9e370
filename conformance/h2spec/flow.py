"""Flow control: `http2/6.9`."""

from hyperframe.frame import GoAwayFrame, RstStreamFrame

from harness.h2 import Code, SETTINGS, Setting, WINDOW_UPDATE, raw, settings, window_update

from . import expect
from .cases import case

MOST = (1 << 31) - 1


def initial_window(size):
    return settings({Setting.INITIAL_WINDOW_SIZE: size})


@case("http2/6.9/1", "WINDOW_UPDATE of 0 on the connection")
def _(peer):
    peer.send(raw(WINDOW_UPDATE, payload=bytes(4)))
    expect.connection_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.9/2", "WINDOW_UPDATE of 0 on a stream")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(raw(WINDOW_UPDATE, stream=1, payload=bytes(4)))
    expect.stream_error(peer, Code.PROTOCOL_ERROR)


@case("http2/6.9/3", "WINDOW_UPDATE of 3 octets")
def _(peer):
    peer.send(raw(WINDOW_UPDATE, payload=b"\x00\x00\x01"))
    expect.connection_error(peer, Code.FRAME_SIZE_ERROR)


@case("http2/6.9.1/1", "an initial window of 1, then HEADERS")
def _(peer):
    peer.send(initial_window(1))
    expect.acknowledged(peer)
    peer.request()
    expect.data(peer, length=1)


@case("http2/6.9.1/2", "WINDOW_UPDATE of the connection above 2^31 - 1")
def _(peer):
    peer.send(window_update(0, MOST), window_update(0, MOST))
    found = peer.until(lambda f: isinstance(f, GoAwayFrame), peer.patience)
    assert found and found.error_code == Code.FLOW_CONTROL_ERROR, peer.story()


@case("http2/6.9.1/3", "WINDOW_UPDATE of a stream above 2^31 - 1")
def _(peer):
    peer.request(path="/count", method="POST")
    peer.send(window_update(1, MOST), window_update(1, MOST))
    found = peer.until(lambda f: isinstance(f, RstStreamFrame), peer.patience)
    assert found and found.stream_id == 1, peer.story()
    assert found.error_code == Code.FLOW_CONTROL_ERROR, peer.story()


@case("http2/6.9.2/1", "another initial window after HEADERS")
def _(peer):
    peer.send(initial_window(0))
    expect.acknowledged(peer)
    peer.request()
    peer.send(initial_window(1))
    expect.data(peer, length=1)


@case("http2/6.9.2/2", "an initial window that makes the stream's negative")
def _(peer):
    peer.grows = False
    peer.send(initial_window(3))
    expect.acknowledged(peer)
    peer.request()
    expect.data(peer)
    peer.send(initial_window(2))
    expect.acknowledged(peer)
    peer.send(window_update(1, 2))
    expect.data(peer, length=1)


@case("http2/6.9.2/3", "an initial window above 2^31 - 1")
def _(peer):
    peer.send(raw(SETTINGS, payload=b"\x00\x04\x80\x00\x00\x00"))
    expect.connection_error(peer, Code.FLOW_CONTROL_ERROR)

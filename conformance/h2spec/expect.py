"""What a case accepts as the right answer."""

from hyperframe.frame import (
    DataFrame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame,
)


def connection_error(peer, *codes):
    """GOAWAY with one of the codes, or the end of the connection."""
    found = peer.until(lambda f: isinstance(f, GoAwayFrame) and f.error_code in codes, peer.patience)
    assert found or peer.gone, f"neither {_names(codes)} nor the end: {peer.story()}"


def stream_error(peer, *codes):
    """RST_STREAM or GOAWAY with one of the codes, or the end of the connection."""
    def error(frame):
        return isinstance(frame, (RstStreamFrame, GoAwayFrame)) and frame.error_code in codes

    found = peer.until(error, peer.patience)
    assert found or peer.gone, f"neither {_names(codes)} nor the end: {peer.story()}"


def closed(peer):
    """The end of the TCP connection."""
    peer.wait(peer.patience)
    assert peer.gone, f"still open: {peer.story()}"


def stream_closed(peer, stream=1):
    """The whole answer to a request."""
    def last(frame):
        return frame.stream_id == stream and "END_STREAM" in frame.flags

    assert peer.until(last, peer.patience), f"no end of stream {stream}: {peer.story()}"


def answered(peer, stream=1):
    """The head of a response on that stream, and no refusal before it."""
    found = peer.until(lambda f: isinstance(f, (HeadersFrame, GoAwayFrame, RstStreamFrame)),
                       peer.patience)
    assert isinstance(found, HeadersFrame), f"no HEADERS: {peer.story()}"
    assert found.stream_id == stream and ":status" in found.fields


def ponged(peer, opaque=bytes(8)):
    """The answer to a PING, first among PINGs."""
    found = peer.until(lambda f: isinstance(f, PingFrame), peer.patience)
    assert found, f"no PING came back: {peer.story()}"
    assert "ACK" in found.flags and found.opaque_data == opaque, str(found)


def ponged_or_closed(peer, opaque=bytes(8)):
    """The answer to a PING, or the end of the connection."""
    found = peer.until(lambda f: isinstance(f, PingFrame) and "ACK" in f.flags, peer.patience)
    assert found or peer.gone, f"neither PING nor the end: {peer.story()}"
    assert not found or found.opaque_data == opaque, str(found)


def acknowledged(peer):
    """The acknowledgement of settings."""
    found = peer.until(lambda f: isinstance(f, SettingsFrame), peer.patience)
    assert found and "ACK" in found.flags, f"settings were not acknowledged: {peer.story()}"


def data(peer, length=None):
    """DATA, of that length if one is given."""
    found = peer.until(lambda f: isinstance(f, DataFrame), peer.patience)
    assert found, f"no DATA: {peer.story()}"
    assert length is None or len(found.data) == length, str(found)


def _names(codes):
    return " or ".join(code.name for code in codes)

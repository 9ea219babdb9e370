"""An HTTP/2 connection by hand: frames as they should be, or as wrong as a test wants."""

import select
import ssl
import time
from collections import deque
from enum import IntEnum

import hpack
from hyperframe.frame import (
    ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, PriorityFrame,
    RstStreamFrame, SettingsFrame, WindowUpdateFrame,
)

from .peer import Closed, Peer, Response

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 65535


class Code(IntEnum):
    """Error codes, RFC 9113 section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Setting(IntEnum):
    """Settings, RFC 9113 section 6.5.2."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8  # RFC 8441


# Frames that are well formed.


def headers(stream, block, end_stream=True, end_headers=True, pad=None, depends_on=None, weight=255,
            exclusive=False):
    """HEADERS with a part of a header block, or all of it."""
    flags = _flags(END_STREAM=end_stream, END_HEADERS=end_headers, PADDED=pad is not None,
                   PRIORITY=depends_on is not None)
    return HeadersFrame(stream, block, flags=flags, pad_length=pad or 0, depends_on=depends_on or 0,
                        stream_weight=weight, exclusive=exclusive)


def continuation(stream, block, end_headers=True):
    return ContinuationFrame(stream, block, flags=_flags(END_HEADERS=end_headers))


def data(stream, payload=b"", end_stream=False, pad=None):
    flags = _flags(END_STREAM=end_stream, PADDED=pad is not None)
    return DataFrame(stream, payload, flags=flags, pad_length=pad or 0)


def priority(stream, depends_on=0, weight=255, exclusive=False):
    return PriorityFrame(stream, depends_on=depends_on, stream_weight=weight, exclusive=exclusive)


def rst_stream(stream, code=Code.CANCEL):
    return RstStreamFrame(stream, error_code=int(code))


def settings(values=(), ack=False):
    return SettingsFrame(0, dict(values), flags=_flags(ACK=ack))


def ping(opaque=bytes(8), ack=False):
    return PingFrame(0, opaque, flags=_flags(ACK=ack))


def goaway(code=Code.NO_ERROR, last_stream=0, debug=b""):
    return GoAwayFrame(0, last_stream_id=last_stream, error_code=int(code), additional_data=debug)


def window_update(stream, increment):
    return WindowUpdateFrame(stream, window_increment=increment)


def raw(kind, flags=0, stream=0, payload=b"", length=None):
    """Any frame at all; `kind` is a number. The reserved bit is the highest of `stream`."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


# Kinds of frames, for those that are not well formed.
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
 CONTINUATION) = range(10)


def serialized(frames):
    """Frames and bytes as bytes."""
    return b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames)


def _flags(**set_):
    return [name for name, is_set in set_.items() if is_set]


class H2(Peer):
    """An HTTP/2 connection: prior knowledge, or over TLS with a context that offers `h2`.

    It acknowledges settings, answers PINGs and opens windows again by itself, unless it is told
    not to; nothing else is done for the test. Everything that came is in `frames` (the last of
    very many).
    """

    def __init__(self, address, tls=None, greet=True, values=(), acks=True, pongs=True, grows=True,
                 patience=2.0, **options):
        super().__init__(address, **options)
        self.patience = patience  # how long to wait where a test does not say
        self.acks, self.pongs, self.grows = acks, pongs, grows
        self.scheme = "https" if tls else "http"
        self.authority = "localhost:%d" % address[1]
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.frames, self.settings = deque(maxlen=100_000), {}
        self.gone, self.ended_at = None, None
        self.buffer, self._block = bytearray(), b""
        self._replies = None  # while a flood is half sent, what is to be said after it
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
            assert self.socket.selected_alpn_protocol() == "h2"
        if greet:
            self.greet(values)

    # To the server.

    def send(self, *frames):
        """Sends frames and bytes in one piece; what the server has closed takes nothing more."""
        began = time.monotonic()
        try:
            self.socket.settimeout(10)
            self.socket.sendall(serialized(frames))
        except OSError:
            pass
        return began

    def greet(self, values=()):
        """Preface and settings both ways, and both acknowledged."""
        self.send(PREFACE, settings({Setting.INITIAL_WINDOW_SIZE: WINDOW} | dict(values)))
        got = self.until(lambda f: isinstance(f, SettingsFrame) and "ACK" in f.flags)
        assert got, f"settings were not acknowledged: {self.story()}"

    def fields(self, path="/hello", method="GET", more=()):
        """The header fields of an ordinary request."""
        return [(":method", method), (":scheme", self.scheme), (":path", path),
                (":authority", self.authority), *more]

    def block(self, fields):
        """A header block; fields are never indexed, so that blocks can be dropped or repeated."""
        return self.encoder.encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields])

    def request(self, stream=1, path="/hello", method="GET", more=(), **how):
        """Sends the head of a request; a GET is all of it, unless `end_stream=False`."""
        how.setdefault("end_stream", method != "POST")
        return self.send(headers(stream, self.block(self.fields(path, method, more)), **how))

    def flood(self, frames, within, every=None, most=None):
        """Sends the same again and again, until the server closes; returns how often it went out.

        `frames` may be a function of the turn. What comes is read; `every` is a pause in seconds.
        """
        block = None if callable(frames) else serialized(frames)
        until, turns, left = time.monotonic() + within, 0, b""
        self.socket.setblocking(False)
        self._replies = b""
        while time.monotonic() < until and not self.gone and (left or most is None or turns < most):
            if not left:
                left = self._replies + (block or serialized(frames(turns)))
                self._replies = b""
                turns += 1
            readable, writable, _ = select.select([self.socket], [self.socket], [], 0.05)
            if readable:
                self._receive()
                while self._next_parsed():
                    pass
            if writable and not self.gone:
                try:
                    left = left[self.socket.send(left):]
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
                except OSError:
                    self._drained("rst")
                if every and not left:
                    time.sleep(every)
        # What is half sent has to be finished, or nothing behind it would be understood.
        left, self._replies = left + self._replies, None
        if not self.gone:
            self.send(left)
        return turns

    # From the server.

    def next(self, within):
        """The next frame; None if none came in time, or if that was the end (`gone`)."""
        until = time.monotonic() + within
        while (frame := self._next_parsed()) is None:
            left = until - time.monotonic()
            if self.gone or left <= 0:
                return None
            self.socket.settimeout(left)
            self._receive()
        return frame

    def until(self, wanted, within=None):
        """The first frame to come that is `wanted`, others passed over; None as in `next`."""
        over = time.monotonic() + (self.patience if within is None else within)
        while (left := over - time.monotonic()) > 0:
            frame = self.next(left)
            if frame is None:
                return None
            if wanted(frame):
                return frame
        return None

    def wait(self, seconds):
        """Reads, and answers what is answered by itself, for that long or to the end."""
        self.until(lambda _: False, seconds)

    def ended(self, within=10.0, must=True):
        """Reads to the end of the connection."""
        self.wait(within)
        if self.gone is None:
            assert not must, f"still open after {within:.2f} s: {self.story()}"
            return None
        return Closed(self.gone, self.ended_at, b"")

    def response(self, stream=1, within=10.0):
        """The rest of a stream as a response; `headers` has the trailers too."""
        seen = [f for f in self.frames if f.stream_id == stream]
        over = time.monotonic() + within
        while not any(_ends(frame) for frame in seen):
            frame = self.next(max(0.0, over - time.monotonic()))
            assert frame is not None, f"no whole response on stream {stream}: {self.story()}"
            if frame.stream_id == stream:
                seen.append(frame)
        resets = [f for f in seen if isinstance(f, RstStreamFrame) and f.error_code]
        assert not resets, f"stream {stream} was reset: {resets[0]}"
        fields = {}
        for frame in seen:
            fields |= getattr(frame, "fields", {})
        body = b"".join(f.data for f in seen if isinstance(f, DataFrame))
        return Response(int(fields[":status"]), fields, body)

    def get(self, stream=1, path="/hello", within=10.0):
        """A whole request and its response."""
        self.request(stream, path)
        return self.response(stream, within)

    @property
    def goaways(self):
        """The GOAWAYs that came: (code, debug text)."""
        return [(Code(f.error_code), f.additional_data.decode("latin-1"))
                for f in self.frames if isinstance(f, GoAwayFrame)]

    @property
    def resets(self):
        """The streams that the server reset, and with which code."""
        return {f.stream_id: Code(f.error_code)
                for f in self.frames if isinstance(f, RstStreamFrame)}

    def story(self):
        """What has come, for messages of tests."""
        last = [str(frame) for frame in list(self.frames)[-8:]]
        return f"{len(self.frames)} frames, the last: {last}; then {self.gone or 'open'}"

    def _receive(self):
        """Takes what is there, into the buffer; notes the end."""
        try:
            received = self.socket.recv(1 << 18)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            return self._drained("rst")
        if not received:
            return self._drained("fin")
        self.buffer += received

    def _drained(self, how):
        if self.gone is None:
            self.gone, self.ended_at = how, time.monotonic()

    def _next_parsed(self):
        if len(self.buffer) < 9:
            return None
        frame, length = Frame.parse_frame_header(memoryview(bytes(self.buffer[:9])))
        if len(self.buffer) < 9 + length:
            return None
        frame.parse_body(memoryview(bytes(self.buffer[9:9 + length])))
        del self.buffer[:9 + length]
        self._take(frame)
        return frame

    def _take(self, frame):
        self.frames.append(frame)
        frame.at = time.monotonic()
        if isinstance(frame, (HeadersFrame, ContinuationFrame)):
            self._block += frame.data
            if "END_HEADERS" in frame.flags:
                frame.fields = dict(self.decoder.decode(self._block))
                self._block = b""
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.settings |= frame.settings
            if self.acks:
                self._reply(settings(ack=True))
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags and self.pongs:
            self._reply(ping(frame.opaque_data, ack=True))
        elif isinstance(frame, DataFrame) and frame.flow_controlled_length and self.grows:
            self._reply(window_update(0, frame.flow_controlled_length))
            if "END_STREAM" not in frame.flags:
                self._reply(window_update(frame.stream_id, frame.flow_controlled_length))

    def _reply(self, frame):
        if self._replies is None:
            self.send(frame)
        else:
            self._replies += frame.serialize()


def _ends(frame):
    return isinstance(frame, RstStreamFrame) or "END_STREAM" in frame.flags

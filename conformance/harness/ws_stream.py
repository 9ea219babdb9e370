"""A WebSocket session on a stream of HTTP/2 (RFC 8441)."""

import struct
import time

from hyperframe.frame import DataFrame, RstStreamFrame

from .h2 import Code, data, headers, rst_stream
from .ws import CLOSE, frame

LARGEST = 1 << 14  # RFC 9113 section 4.2


class WsStream:
    """A stream of `peer` that has asked for a session; `status` is what it was answered."""

    def __init__(self, peer, stream=1, path="/ws", more=(), protocol="websocket"):
        self.peer, self.stream = peer, stream
        self.buffer, self.seen, self.over = b"", len(peer.frames), None
        fields = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", peer.scheme),
                  (":path", path), (":authority", peer.authority), ("sec-websocket-version", "13"), *more]
        peer.send(headers(stream, peer.block(fields), end_stream=False))
        self.fields = None
        self._wait(lambda: self.fields or self.over, 5)
        assert self.fields, f"no answer: {self.over or peer.story()}"
        self.status = int(self.fields[":status"])

    def say(self, first, payload=b"", **how):
        """Sends one frame; returns when."""
        return self.send(frame(first, payload, **how))

    def send(self, content):
        """Sends bytes, in frames of HTTP/2 that are not too large; returns when."""
        pieces = [content[at:at + LARGEST] for at in range(0, len(content), LARGEST)]
        return self.peer.send(*(data(self.stream, piece) for piece in pieces))

    def reset(self):
        self.peer.send(rst_stream(self.stream, Code.CANCEL))

    def hear(self, within=5.0):
        """The next frame of the session: its first byte, its payload."""
        until = time.monotonic() + within
        first, second = self._take(2, until)
        assert not second & 0x80, "a server's frame is masked"
        length = second
        if second == 126:
            length = struct.unpack("!H", self._take(2, until))[0]
        elif second == 127:
            length = struct.unpack("!Q", self._take(8, until))[0]
        return first, self._take(length, until)

    def heard_close(self, within=5.0):
        """The code of the Close that is the next but for Pings, Pongs and messages."""
        until = time.monotonic() + within
        while True:
            first, payload = self.hear(until - time.monotonic())
            if first == CLOSE:
                return struct.unpack("!H", payload[:2])[0] if payload else None

    def ended(self, within=5.0):
        """How the stream is over: "end", or the name of a reset's code; None if it is not."""
        self._wait(lambda: self.over, within)
        return self.over

    def _take(self, length, until):
        self._wait(lambda: len(self.buffer) >= length, until - time.monotonic())
        assert len(self.buffer) >= length, f"no whole frame: {self.over or self.peer.story()}"
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def _wait(self, done, within):
        until = time.monotonic() + within
        self._look()
        while not done() and not self.over and (left := until - time.monotonic()) > 0:
            if self.peer.next(left) is None:
                return
            self._look()

    def _look(self):
        """What has come for this stream since the last look."""
        frames = self.peer.frames
        while self.seen < len(frames):
            came = frames[self.seen]
            self.seen += 1
            if came.stream_id != self.stream:
                continue
            self.fields = self.fields or getattr(came, "fields", None)
            if isinstance(came, DataFrame):
                self.buffer += came.data
            if isinstance(came, RstStreamFrame):
                self.over = self.over or Code(came.error_code).name
            elif "END_STREAM" in came.flags:
                self.over = "end"

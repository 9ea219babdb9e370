"""A WebSocket client by hand, so that it can be as wrong as a test wants."""

import os
import struct
import time

from .peer import Peer

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8a
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def handshake(path="/ws", headers="", version="13", key=KEY):
    """A request for a session."""
    return (f"GET {path} HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: {key}\r\n{headers}\r\n")


def frame(first, payload=b"", masked=True, length=None):
    """A frame; `length` is what its head says, if not the truth."""
    length = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", first, bit | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, bit | 127, length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    pad = (mask * (len(payload) // 4 + 1))[:len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return head + mask + mixed.to_bytes(len(payload), "big")


class Ws(Peer):
    """A session on `path`; its handshake is done. What is `early` was sent with it."""

    def __init__(self, address, path="/ws", headers="", early=b"", **options):
        super().__init__(address, **options)
        self.send(handshake(path, headers).encode("latin-1") + early)
        self.answer = self._take_until(b"\r\n\r\n", time.monotonic() + 10).decode("latin-1")
        assert self.answer.startswith("HTTP/1.1 101 "), self.answer

    def say(self, first, payload=b"", **how):
        """Sends one frame; returns when."""
        return self.send(frame(first, payload, **how))

    def hear(self, within=5.0):
        """The next frame: its first byte, its payload."""
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

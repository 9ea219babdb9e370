"""A peer: one TCP connection, with HTTP/1 by hand, so that it can be as wrong as a test wants."""

import socket
import time
from dataclasses import dataclass

from .kernel import reset_on_close


@dataclass
class Response:
    """What a peer was answered."""

    status: int
    headers: dict
    body: bytes

    @property
    def says_close(self):
        return self.headers.get("connection", "").lower() == "close"


@dataclass
class Closed:
    """How a connection ended, as its peer saw it."""

    how: str  # "fin" or "rst"
    at: float
    received: bytes


class Peer:
    """A connection to `(host, port)`, from the given source address if there is one.

    `segment` makes it take segments as small as those of a real network; loopback's are 64 KiB.
    """

    def __init__(self, address, source=None, receive_buffer=None, segment=None, timeout=10.0):
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if segment:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            # The port is chosen at the connect, so that one source can have very many.
            self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            self.socket.bind((source, 0))
        self.opened = time.monotonic()
        self.buffer = b""
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        """Sends text or bytes; returns when, for measuring from there."""
        began = time.monotonic()
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return began

    def drip(self, data, every, within):
        """Sends byte by byte until the server closes or the time is over; `Closed` or None."""
        until = time.monotonic() + within
        left = list(data.encode("latin-1") if isinstance(data, str) else data)
        while left and time.monotonic() < until:
            try:
                self.socket.sendall(bytes([left.pop(0)]))
            except OSError:
                break
            closed = self.closed(min(every, max(0.001, until - time.monotonic())), must=False)
            if closed:
                return closed
        return self.closed(max(0.001, until - time.monotonic()), must=False)

    def response(self, head_only=False, within=10.0):
        """Reads one response, interim ones skipped."""
        until = time.monotonic() + within
        while True:
            head = self._take_until(b"\r\n\r\n", until).decode("latin-1")
            lines = head.split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status >= 200:
                break
        headers = {}
        for line in filter(None, lines[1:]):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if head_only or status in (204, 304):
            return Response(status, headers, b"")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks(until)
        elif "content-length" in headers:
            body = self._take(int(headers["content-length"]), until)
        else:
            body = self.closed(until - time.monotonic()).received
        return Response(status, headers, body)

    def request(self, target="/hello", method="GET", headers="", body=b""):
        """Sends a whole request and reads its response."""
        self.send(request(target, method, headers, body))
        return self.response(head_only=method == "HEAD")

    def closed(self, within=10.0, must=True):
        """Reads to the end of the connection."""
        until = time.monotonic() + within
        while True:
            left = until - time.monotonic()
            if left <= 0:
                assert not must, f"still open after {within:.2f} s; received {self.buffer[:200]!r}"
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                return self._closed("rst")
            if not data:
                return self._closed("fin")
            self.buffer += data

    def is_open(self):
        """Whether the server has not closed until now. What it sent stays to be read."""
        return self.closed(0.002, must=False) is None

    def reset(self):
        """Vanishes with a RST."""
        reset_on_close(self.socket)
        self.socket.close()

    def close(self):
        self.socket.close()

    def _closed(self, how):
        received, self.buffer = self.buffer, b""
        return Closed(how, time.monotonic(), received)

    def _more(self, until):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole response in time: {self.buffer[:200]!r}")
        self.socket.settimeout(left)
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the server closed within a response: {self.buffer[:200]!r}")
        self.buffer += data

    def _take_until(self, mark, until):
        while mark not in self.buffer:
            self._more(until)
        taken, _, self.buffer = self.buffer.partition(mark)
        return taken

    def _take(self, length, until):
        while len(self.buffer) < length:
            self._more(until)
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def _chunks(self, until):
        body = b""
        while size := int(self._take_until(b"\r\n", until).split(b";")[0], 16):
            body += self._take(size, until)
            assert self._take(2, until) == b"\r\n"
        while self._take_until(b"\r\n", until):
            pass
        return body


def request(target="/hello", method="GET", headers="", body=b""):
    """A request as bytes; `headers` are whole lines with their CRLF."""
    if body:
        headers += f"Content-Length: {len(body)}\r\n"
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode("latin-1") + body


def get(target="/hello", headers=""):
    return request(target, headers=headers)


def post(target, body, headers=""):
    return request(target, "POST", headers, body)

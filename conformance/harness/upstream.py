"""An upstream: an HTTP/1 server by hand that tells what it was asked, and answers as a test wants."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field

from .server import _toml


@dataclass
class Asked:
    """One request, as an upstream has read it."""

    method: str
    target: str
    headers: list
    body: bytes = b""
    trailers: list = field(default_factory=list)
    connection: int = 0

    def all(self, name):
        """Every value of a field."""
        return [value for key, value in self.headers if key == name.lower()]

    def one(self, name):
        """The value of a field that is there once; None if it is not there."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None


def answer(status="200 OK", body=b"ok", headers=""):
    """An answer as bytes; `headers` are whole lines with their CRLF."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


class Upstream:
    """An HTTP/1 server from `with` to the end of it, on a port that stays its own.

    With `tls`, an SSL context, it speaks that. `respond` gets each request and its socket, and returns the bytes of the answer; None if it has seen
    to the rest itself, `CLOSE` for the end of the connection. Requests are in `asked`, what is none in
    `garbage`; `opened` counts connections.
    """

    CLOSE = object()

    def __init__(self, respond=None, host="127.0.0.1", tls=None):
        self.tls = tls
        self.respond = respond or (lambda request, sock: answer(body=request.body or b"ok"))
        # Bound for as long as this is there, so that nobody else gets the port between two lives.
        self.place = bound((host, 0))
        self.address = self.place.getsockname()
        self.asked, self.garbage, self.opened = [], [], 0
        self.listener, self.sockets, self.lock = None, set(), threading.Lock()

    @property
    def url(self):
        return "%s://%s:%d" % ("https" if self.tls else "http", *self.address)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.place.close()

    def start(self):
        """Listens, also again after `stop`."""
        self.listener = bound(self.address)
        self.listener.listen(512)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        """Ends at once, as a killed process does."""
        listener, self.listener = self.listener, None
        if listener:
            # A close alone does not wake who waits in accept.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            sockets, self.sockets = self.sockets, set()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def open(self):
        """How many connections are open."""
        with self.lock:
            return len(self.sockets)

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.opened += 1
                number = self.opened
                self.sockets.add(sock)
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            reader = Reader(sock)
            while (request := reader.request()) is not None:
                request.connection = number
                self.asked.append(request)
                said = self.respond(request, sock)
                if said is self.CLOSE:
                    break
                if said is not None:
                    sock.sendall(said)
        except Garbage as garbage:
            self.garbage.append(garbage.args[0])
        except OSError:
            pass
        finally:
            with self.lock:
                self.sockets.discard(sock)
            sock.close()


def bound(address):
    """A socket that has a port and does not listen there."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    return sock


class Nobody:
    """An address at which nobody listens, and nobody will."""

    def __init__(self, host="127.0.0.1"):
        self.place = bound((host, 0))
        self.url = "http://%s:%d" % self.place.getsockname()


class Garbage(Exception):
    """Bytes that are no request."""


class Reader:
    """Reads requests as strictly as the grammar is."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def request(self):
        """The next request with its body; None at the end."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        line, *fields = head.decode("latin-1").split("\r\n")
        words = line.split(" ")
        if len(words) != 3 or words[2] != "HTTP/1.1" or any(c in head for c in b"\0"):
            raise Garbage(head)
        request = Asked(words[0], words[1], [self.field(it, head) for it in fields])
        codings, lengths = request.all("transfer-encoding"), request.all("content-length")
        if codings:
            if codings != ["chunked"] or lengths:
                raise Garbage(head)
            request.body, request.trailers = self.chunks()
        elif lengths:
            if len(lengths) > 1 or not lengths[0].isdigit():
                raise Garbage(head)
            request.body = self.take(int(lengths[0]))
        return request

    @staticmethod
    def field(line, head):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line or "\r" in line:
            raise Garbage(head)
        return name.lower(), value.strip()

    def chunks(self):
        body = b""
        while True:
            line = self.until(b"\r\n")
            if line is None:
                raise Garbage(b"a body that ends early")
            size = int(line, 16)
            if size == 0:
                break
            body += self.take(size)
            if self.take(2) != b"\r\n":
                raise Garbage(body)
        trailers = []
        while line := self.until(b"\r\n"):
            trailers.append(self.field(line.decode("latin-1"), line))
        return body, trailers

    def until(self, mark):
        while mark not in self.buffer:
            if not self.more():
                if self.buffer:
                    raise Garbage(self.buffer)
                return None
        taken, _, self.buffer = self.buffer.partition(mark)
        return taken

    def take(self, length):
        pieces, have = [self.buffer], len(self.buffer)
        while have < length:
            piece = self.sock.recv(1 << 16)
            if not piece:
                raise Garbage(b"a body that ends early")
            pieces.append(piece)
            have += len(piece)
        whole = b"".join(pieces)
        self.buffer = whole[length:]
        return whole[:length]

    def more(self):
        data = self.sock.recv(1 << 16)
        self.buffer += data
        return bool(data)


def gateway(*endpoints, route=None, upstream=None, sections="", routes=""):
    """The configuration that sends everything to these endpoints; `route` and `upstream` are more keys of
    the two, `sections` more of the upstream's, as text, and `routes` stand before."""
    urls = [getattr(endpoint, "url", endpoint) for endpoint in endpoints]
    text = routes + "[[route]]\n" + _toml({"path": "/", "upstream": "api"} | (route or {}))
    listed = {"endpoints": urls} if urls else {}
    return text + "[[upstream]]\n" + _toml({"name": "api"} | listed | (upstream or {})) + sections

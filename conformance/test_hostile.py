"""What peers call themselves and what they ask for: harmless on the page, a terminal, in the log and the metrics.

Every word that a peer chooses and that somebody may be shown, with each kind of content that could do harm there.
"""

import re

import pytest

from harness import H2, Peer, Ws, eventually, free_port
from harness.tls import TlsPeer, client_hello
from test_top import Terminal, top

# What each would do: run in a page, steer a terminal, turn the text round it, fill it.
CONTENT = {
    "script": b"<script>window.owned=1</script>\"><img src=x onerror=window.owned=1>",
    "ansi": b"\x1b[2J\x1b]0;owned\x07\x1b[31m\xc2\x9b2J",
    "rtl": "\u202egnp.exe\u2066\u200f".encode(),
    "lines": b"owned\r\n{\"level\":\"error\",\"message\":\"owned\"}\r\nX: y",
    "64 KB": b"owned" * 13_108,
}
# Bytes that steer a terminal or turn text round; wharf's own colours are the only exception.
STEERS = [b"\x1b]", b"\x1b[2J", b"\x07", b"\xc2\x9b", "\u202e".encode(), "\u2066".encode(), "\u200f".encode()]


def head(lines):
    return b"\r\n".join(lines) + b"\r\n\r\n"


def say(address, data):
    """Sends it and waits for an answer or the end."""
    with Peer(address) as peer:
        try:
            peer.send(data)
            peer.closed(0.5, must=False)
        except OSError:
            pass  # It was refused while it was said.


def plain_requests(content):
    """Requests that carry the content wherever a request has words."""
    text = content.replace(b"\r\n", b"\r\n ") if b"\r\n" in content else content
    for field in (b"User-Agent", b"Referer", b"X-Anything", b"Origin", b"Cookie", b"Expect", b"Accept"):
        yield head([b"GET /hello HTTP/1.1", b"Host: t", field + b": " + content])
    yield head([b"GET /hello HTTP/1.1", b"Host: " + content])
    yield head([b"GET /hello HTTP/1.1", b"Host: t", content + b": name"])
    yield head([b"GET /" + content + b" HTTP/1.1", b"Host: t"])
    yield head([b"GET /" + b"".join(b"%%%02x" % byte for byte in content) + b" HTTP/1.1", b"Host: t"])
    yield head([content + b" / HTTP/1.1", b"Host: t"])
    yield head([b"GET / " + content, b"Host: t"])
    yield head([b"POST /echo HTTP/1.1", b"Host: t", b"Transfer-Encoding: chunked"]) + b"1;" + text + b"\r\nx\r\n0\r\n\r\n"
    upgrade = [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    yield head([b"GET /ws HTTP/1.1", b"Host: t", *upgrade, b"Sec-WebSocket-Protocol: " + content])
    yield head([b"GET /ws HTTP/1.1", b"Host: t", *upgrade, b"Origin: " + content])


def attack(server, tls, content):
    """Everything that carries the content, once."""
    for request in plain_requests(content):
        say(server.address, request)
    for name in (content, b"x" * 250 + content):
        say(tls, client_hello(name))
    with Ws(server.address) as session:
        session.say(0x88, b"\x03\xe8" + content[:123])
        session.closed(5, must=False)
    with Ws(server.address, "/ws/room/hostile") as session:
        session.say(0x81, content[:60_000])
        session.say(0x88, b"\x0f\xa0" + content[:123])
        session.closed(5, must=False)
    latin = content.decode("latin-1")
    for target, more in (("/" + latin, []), ("/hello", [("user-agent", latin)]), ("/hello", [(latin.lower(), "x")])):
        with H2(server.address) as peer:
            try:
                peer.request(1, target, more=more)
                peer.closed(0.3, must=False)
            except (OSError, ValueError):
                pass
    for method in (latin, "owned.v1.Owned/" + latin):
        with H2(server.address) as peer:
            try:
                peer.request(1, "/" + method, method="POST", end_stream=True, more=[
                    ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", latin)])
                peer.closed(0.3, must=False)
            except (OSError, ValueError):
                pass


@pytest.fixture
def serve_both(serve):
    """A server with all protocols in plain, and a listener with TLS; its log says everything."""
    def start(**more):
        port = free_port()
        second = (f'[[listener]]\nname = "tls"\naddress = "127.0.0.1:{port}"\nprotocols = ["https", "http2"]\n'
                  "tls = { self_signed = true }\n")
        server = serve(listener={"protocols": ["http", "http2", "grpc", "websocket"]}, more=second,
                       log={"level": "debug"} | more.pop("log", {}), **more)
        return server, ("127.0.0.1", port)
    return start


def series(server):
    """The series of the metrics: names with their labels."""
    return {(name, tuple(sorted(labels.items()))) for name, labels, _ in server.metrics().samples}


@pytest.mark.heavy
@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("format", ["json", "pretty"])
def test_in_log_metrics_and_answers_it_is_only_text(serve_both, kind, format):
    starting, tls = serve_both(log={"format": format})
    with starting as server:
        before = series(server)
        with Peer(server.address) as held:
            attack(server, tls, CONTENT[kind])
            assert held.request().status == 200, "others are served"
        assert eventually(lambda: server.active() == 0, 10.0)
        text = server.stdout.read_bytes() + server.stderr.read_bytes()
        assert not [mark for mark in STEERS if mark in text]
        assert max(map(len, text.splitlines())) < 8192
        if format == "json":
            lines = server.requests() + server.lines()
            assert all("unparsed" not in line for line in lines)
            assert all(line.get("message") != "owned" for line in lines)
        else:
            assert not [line for line in text.splitlines() if line.startswith(b'{"level"')]
        # Nobody makes up a label: what is new are results, kinds and methods that wharf has names for.
        new = series(server) - before
        words = {value for _, labels in new for _, value in labels}
        assert not [word for word in words if not re.fullmatch(r"[\w./+-]{1,80}|\d+(\.\d+)?", word)], words
        assert not [word for word in words if "owned" in word.lower()], words
        assert len(new) < 120
        for path in ("/pools", "/health", "/connections", "/events?since=0", "/config"):
            body = server.ask(path)[2] if path != "/events?since=0" else b""
            assert not [mark for mark in STEERS if mark in body], path
            assert len(body) < 200_000, path


@pytest.mark.parametrize("kind", CONTENT)
def test_who_is_connected_is_shown_without_harm(serve_both, kind):
    """An agent and a server name that were taken stay on display while the connection lasts."""
    starting, tls = serve_both(log={"access": False}, pool={"max_header_size": "128KiB"})
    content = CONTENT[kind].split(b"\r\n")[0].replace(b"\x1b", b"").replace(b"\x07", b"")
    with starting as server, Peer(server.address) as agent, TlsPeer(tls, name="owned.example") as named:
        agent.send(head([b"GET /hello HTTP/1.1", b"Host: t", b"User-Agent: " + content]))
        assert agent.response().status == 200
        assert named.request().status == 200
        body = server.ask("/connections")[2]
        assert b"owned.example" in body and len(body) < 10_000
        assert not [mark for mark in STEERS if mark in body]
        with top(server, size=(40, 200)) as terminal:
            terminal.shows("web/http", "tls/https")
            terminal.read(1.5)
            assert not [mark for mark in STEERS if mark in terminal.raw]
            terminal.press(b"q")
            assert terminal.left() == 0


@pytest.mark.parametrize("kind", CONTENT)
def test_the_log_on_a_terminal_is_not_steered(tmp_path, kind):
    web, admin, tls = (free_port() for _ in range(3))
    (tmp_path / "wharf.toml").write_text(
        f'[log]\nlevel = "debug"\n[admin]\naddress = "127.0.0.1:{admin}"\n[[listener]]\nname = "web"\n'
        f'address = "127.0.0.1:{web}"\nprotocols = ["http", "http2", "grpc", "websocket"]\n[[listener]]\nname = "tls"\n'
        f'address = "127.0.0.1:{tls}"\nprotocols = ["https"]\ntls = {{ self_signed = true }}\n')
    with Terminal("serve", "--config", "wharf.toml", size=(40, 200), cwd=tmp_path) as terminal:
        terminal.shows("admin listening")

        class Seen:
            address = ("127.0.0.1", web)

        attack(Seen, ("127.0.0.1", tls), CONTENT[kind])
        say(Seen.address, head([b"GET /bytes?n=77 HTTP/1.1", b"Host: t", b"Connection: close"]))
        terminal.shows("GET /bytes?n=77")
        terminal.read(1.0)
        # The colours of a line are wharf's; anything else that begins with an escape would be a peer's.
        left = re.sub(rb"\x1b\[\d{1,2}m", b"", terminal.raw)
        assert not [mark for mark in [*STEERS, b"\x1b"] if mark in left]

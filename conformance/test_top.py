"""`wharf top` on a terminal of its own: what it shows, and that it leaves the terminal as it was."""

import contextlib
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest

from harness import Peer, Ws, binary, eventually, free_port, get
from harness.terminal import ENTER, Terminal


def top(server, *more, **options):
    return Terminal("top", "--admin", "http://%s:%d" % server.admin, *more, **options)


def test_it_shows_what_the_api_says_and_leaves_by_q(serve):
    with serve({"max_connections": 40}) as server, Peer(server.address) as peer:
        assert peer.request(headers="User-Agent: tester/1\r\n").status == 200
        with top(server) as terminal:
            terminal.shows("wharf", "healthy", "web/http", "1 / 40", "tester/1", "%s:%d" % peer.socket.getsockname())
            terminal.press(b"s")
            terminal.shows("idle first")
            terminal.press(b"e")
            terminal.shows("connection_added")
            terminal.press(b"q")
            assert terminal.left() == 0


@pytest.mark.parametrize("way", ["control-c", "SIGTERM", "SIGHUP"])
def test_every_way_out_gives_the_terminal_back(serve, way):
    with serve() as server, top(server) as terminal:
        terminal.shows("healthy")
        if way == "control-c":
            terminal.press(b"\x03")
        else:
            terminal.process.send_signal(getattr(signal, way))
        assert terminal.left() == 0


def test_any_size_is_drawn_and_drawn_again(serve):
    with serve() as server, top(server, size=(5, 20)) as terminal:
        terminal.shows("too small")
        terminal.resize(50, 200)
        terminal.shows("web/http", "Events")
        terminal.resize(1, 1)
        terminal.resize(24, 80)
        terminal.read(1.5)
        assert terminal.process.poll() is None
        terminal.press(b"q")
        assert terminal.left() == 0


def test_nothing_that_a_peer_sends_steers_the_terminal(serve):
    agents = ["\u202eevil\u2066\u009b2J", "<script>\u009b31m", "A" * 60_000 + "\u202e"]
    pool = {"max_header_size": "64KiB"}
    with serve(pool, listener={"protocols": ["http", "websocket"]}) as server, contextlib.ExitStack() as stay:
        for agent in agents:
            peer = stay.enter_context(Peer(server.address))
            peer.send(b"GET /hello HTTP/1.1\r\nHost: t\r\nUser-Agent: " + agent.encode() + b"\r\n\r\n")
            assert peer.response().status == 200
        with top(server, size=(40, 200)) as terminal:
            terminal.shows("web/http")
            terminal.press(b"e")
            with Ws(server.address) as session:
                session.say(0x88, b"\x03\xe8\x1b]0;owned\x07" + "\u202e\u009b2J".encode())
                session.closed(2)
            terminal.shows("connection_removed")
            terminal.read(1.5)
            for mark in ("\u202e", "\u2066", "\u009b", "\x1b]0;"):
                assert mark.encode() not in terminal.raw
            terminal.press(b"q")
            assert terminal.left() == 0


def test_a_server_that_goes_away_is_said_to_have_and_found_again(serve):
    with serve() as server, top(server) as terminal:
        terminal.shows("healthy")
        server.stop()
        terminal.shows("no answer")
        terminal.raw = terminal.raw[:terminal.raw.find(ENTER) + len(ENTER)]
        server.restart()
        terminal.shows("healthy")
        terminal.press(b"q")
        assert terminal.left() == 0


def test_it_watches_over_tls_with_a_token(tmp_path):
    (tmp_path / "token").write_text("s3cret-s3cret-s3cret\n")
    (tmp_path / "wrong").write_text("another-another-another\n")
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    admin = f'address = "127.0.0.1:{port}"\ntoken_file = "token"\ntls = {{ self_signed = true }}'
    with running(tmp_path, admin):
        for arguments, reason in (
            (["--token-file", tmp_path / "token"], "certificate"),
            (["--insecure"], "--token-file"),
            (["--insecure", "--token-file", tmp_path / "wrong"], "401"),
            (["--insecure", "--token-file", tmp_path / "none"], "No such file"),
            (["--ca", tmp_path / "token"], "no certificate"),
        ):
            with Terminal("top", "--admin", url, *arguments) as terminal:
                assert terminal.left() == 1
                assert reason in terminal.text and ENTER not in terminal.raw, terminal.text
        with Terminal("top", "--admin", url, "--insecure", "--token-file", tmp_path / "token") as terminal:
            terminal.shows("healthy", "web/http")
            terminal.press(b"q")
            assert terminal.left() == 0


def test_it_watches_over_a_unix_socket(tmp_path):
    with running(tmp_path, f'address = "unix:{tmp_path}/admin.sock"'):
        with Terminal("top", "--admin", f"unix:{tmp_path}/admin.sock") as terminal:
            terminal.shows("healthy", "web/http")
            terminal.press(b"q")
            assert terminal.left() == 0


@contextmanager
def running(folder, admin):
    """A server whose admin API is not asked over plain TCP."""
    port = free_port()
    file = folder / "wharf.toml"
    file.write_text(f'[admin]\n{admin}\n[[listener]]\nname = "web"\naddress = "127.0.0.1:{port}"\nprotocols = ["http"]\n')
    server = subprocess.Popen([binary(), "serve", "--config", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        assert eventually(listens)
        yield
    finally:
        server.kill()
        server.wait(10)


def test_where_nobody_answers_it_says_so_and_takes_no_screen():
    port = free_port()
    with Terminal("top", "--admin", f"http://127.0.0.1:{port}") as terminal:
        assert terminal.left() == 1
        assert f"no wharf answers at http://127.0.0.1:{port}" in terminal.text and "refused" in terminal.text
        assert ENTER not in terminal.raw
    with Terminal("top", "--admin", "ftp://x") as terminal:
        assert terminal.left() == 1 and "unix:/run/wharf.sock" in terminal.text
    piped = subprocess.run([binary(), "top"], capture_output=True, text=True, timeout=10, check=False,
                           stdin=subprocess.DEVNULL)
    assert piped.returncode == 1 and "terminal" in piped.stderr and piped.stdout == ""


def test_a_drain_on_a_terminal_is_one_line_that_changes(serve, tmp_path):
    port, admin = free_port(), free_port()
    file = tmp_path / "wharf.toml"
    file.write_text(f"[admin]\naddress = \"127.0.0.1:{admin}\"\n[[listener]]\nname = \"web\"\n"
                    f"address = \"127.0.0.1:{port}\"\nprotocols = [\"http\"]\n")
    with Terminal("serve", "--config", file, size=(24, 200)) as terminal:
        terminal.shows("admin listening")
        with Peer(("127.0.0.1", port)) as busy:
            busy.send(get("/slow?ms=3000"))
            time.sleep(0.3)
            terminal.process.send_signal(signal.SIGINT)
            terminal.shows("connections left 1 of 1, requests in flight 1")
            assert busy.response().status == 200
        assert terminal.left(within=10) == 0
        assert terminal.text.count("connections left") >= 5
        assert terminal.raw.rstrip().rfind(b"\x1b[2K") > terminal.raw.rfind(b"connections left"), "the line stays"
        assert "drained" in terminal.text


def test_a_long_drain_elsewhere_is_told_now_and_then(serve):
    with serve(server={"drain_timeout": "20s"}) as server, Peer(server.address) as busy:
        busy.send(get("/slow?ms=7000"))
        eventually(lambda: server.in_flight() == 1)
        server.signal(signal.SIGTERM)
        assert busy.response(within=10).status == 200
        assert server.exited(10) == 0
        told = [line for line in server.lines() if line.get("message") == "still draining"]
        assert told and told[0]["connections"] == 1 and told[0]["requests"] == 1
        assert "\x1b" not in server.errors()

"""Memory runs short: the server gives up connections before the kernel ends the process."""

import json
import socket
import threading
import time
from contextlib import ExitStack

import hpack
import pytest

from harness import MemoryLimit, Peer, eventually
from harness.h2 import PREFACE, Setting, data, headers, serialized, settings
from harness.peer import get

pytestmark = pytest.mark.heavy

MIB = 1 << 20
STREAMS = 90
HOSTILE = [f"127.0.0.{n}" for n in range(2, 8)]
HONEST = "127.0.0.77"
ESTABLISHED = 1


def opening(method, path, end=True):
    """The bytes of an HTTP/2 connection that asks `STREAMS` times, with no room for answers."""
    encoder = hpack.Encoder()
    frames = [settings({Setting.INITIAL_WINDOW_SIZE: 0}), settings(ack=True)]
    for n in range(STREAMS):
        fields = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)]
        frames.append(headers(2 * n + 1, encoder.encode(fields), end_stream=end))
    return PREFACE + serialized(frames)


BODIES = serialized([data(2 * n + 1, bytes(16384)) for n in range(STREAMS) for _ in range(3)])
HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 400) for n in range(60))

# What fills memory, each for itself in bounds: uploads whose echo nobody takes, answers over HTTP/2 and downloads that
# nobody takes, heads that never end. What is said first, and what after a moment.
ATTACKS = [
    (opening("POST", "/echo", end=False), BODIES),
    (opening("GET", "/bytes?n=1000000"), b""),
    (get("/bytes?n=100000000"), b""),
    (HEAD, b""),
]


def hold(address, source, words, seconds):
    """Connects, sends, and reads nothing, for so long or until it is cut."""
    until = time.monotonic() + seconds
    with Peer(address, source=source, receive_buffer=4096, timeout=5) as peer:
        for word in words:
            peer.send(word)
            time.sleep(0.2)
        while time.monotonic() < until:
            time.sleep(0.1)
            # Whoever is cut hears of it, also while he takes nothing.
            if peer.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED:
                return


class Crowd:
    """So many attackers, each of whom comes again when it is cut."""

    def __init__(self, server, each, seconds):
        self.address, self.until = server.address, time.monotonic() + seconds
        jobs = [(n, job) for n in range(each) for job in ATTACKS]
        self.threads = [threading.Thread(target=self._attack, args=(n, job), daemon=True) for n, job in jobs]
        self.opened = self.refused = 0
        for thread in self.threads:
            thread.start()

    def _attack(self, n, job):
        while (left := self.until - time.monotonic()) > 0:
            self.opened += 1
            try:
                hold(self.address, HOSTILE[n % len(HOSTILE)], job, left)
            except OSError:
                self.refused += 1
                time.sleep(0.2)

    def join(self):
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


class Honest:
    """A client that asks every 20 ms, and asks again at once if its connection was closed or it was told to."""

    def __init__(self, address):
        self.address, self.peer = address, None
        self.asked = self.served = 0

    def ask(self):
        """Up to three times within a second; a request that was not answered so is lost."""
        self.asked += 1
        for attempt in range(3):
            try:
                self.peer = self.peer or Peer(self.address, source=HONEST, timeout=1.0)
                answer = self.peer.request()
                if answer.headers.get("connection") == "close":
                    self.leave()
                if answer.status == 200:
                    self.served += 1
                    return True
            except (OSError, EOFError):
                self.leave()
            time.sleep(0.1 * (attempt + 1))
        return False

    def leave(self):
        if self.peer:
            self.peer.close()
        self.peer = None


def served(server, seconds, clients=4):
    """What share of their requests honest clients get answered."""
    until, all_of_them = time.monotonic() + seconds, [Honest(server.address) for _ in range(clients)]

    def work(client):
        while time.monotonic() < until:
            client.ask()
            time.sleep(0.02)
        client.leave()

    threads = [threading.Thread(target=work, args=(it,), daemon=True) for it in all_of_them]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 30)
    return sum(it.served for it in all_of_them) / sum(it.asked for it in all_of_them)


def pressure(server):
    return json.loads(server.ask("/health")[2])["pressure"]


@pytest.mark.parametrize("size, each, seconds", [
    (256, 100, 20), (96, 60, 20), pytest.param(256, 100, 60, marks=pytest.mark.long)])
def test_a_mixed_attack_on_memory_never_ends_the_process(serve, size, each, seconds):
    patient = {"stream_idle_timeout": "60s", "min_data_rate": "off"}
    with MemoryLimit(size * MIB) as memory, serve(
            patient, pools={"http2": patient}, listener={"protocols": ["http", "http2"]}, memory=memory,
            log={"access": False}) as server:
        crowd = Crowd(server, each, seconds)
        share = served(server, seconds)
        assert server.process.poll() is None, f"ended: {server.tail()}"
        assert memory.most() < size * MIB
        crowd.join()
        assert eventually(lambda: pressure(server)["rung"] == "calm", 5)
        with Peer(server.address) as peer:
            assert peer.request().status == 200
        assert share >= 0.95, f"{share:.1%} of honest requests served"
        server.stop()


def test_where_there_is_room_nobody_is_given_up(serve):
    """Honest load, in a memory that is enough for it."""
    with MemoryLimit(256 * MIB) as memory, serve(
            listener={"protocols": ["http", "http2"]}, memory=memory, log={"access": False}) as server:
        with ExitStack() as peers:
            idle = [peers.enter_context(Peer(server.address)) for _ in range(1000)]
            assert all(peer.request().status == 200 for peer in idle)
            assert served(server, 3) == 1.0
            assert pressure(server)["rung"] == "calm"
            assert all(peer.is_open() for peer in idle)
        assert "pressure" not in server.metrics().by("wharf_connections_closed_total", "reason")
        assert "pressure" not in server.metrics().by("wharf_connections_rejected_total", "reason")
        server.stop()


def test_a_memory_that_is_written_down_holds_without_a_control_group(serve):
    limits = {"memory": "8MiB"}
    with serve({"keep_alive_timeout": "60s"}, limits=limits | {"max_connections": 100}) as server:
        # It is larger than that as it starts: newcomers are told so, and operators see why.
        assert eventually(lambda: pressure(server)["rung"] == "cutting", 2)
        with Peer(server.address) as peer:
            answer = peer.response()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert server.metrics().by("wharf_connections_rejected_total", "reason") == {"pressure": 1}
        assert pressure(server)["memory_limit_bytes"] == 8 * MIB
        server.stop()


def test_a_dry_run_tells_and_gives_nobody_up(serve):
    limits = {"memory": "8MiB", "pressure": "dry_run", "max_connections": 100}
    with serve(limits=limits) as server:
        assert eventually(lambda: pressure(server)["rung"] == "cutting", 2)
        with Peer(server.address) as peer:
            for _ in range(3):
                answer = peer.request()
                assert (answer.status, answer.headers.get("connection")) == (200, None)
                time.sleep(0.1)
        server.stop()

"""Honest and hostile traffic at once for a long time: the books stay right, the memory flat, and nobody honest notices."""

import contextlib
import os
import random
import signal
import statistics
import time

import pytest

from harness import H2, Peer, Ws, descriptors, eventually, get, in_threads, resident_bytes, warm
from harness.h2 import headers, ping, rst_stream
from harness.load import FORK
from harness.ws import PING, TEXT, frame

MIB = 1 << 20
# Shorter than the hostile wait, longer than the honest are held.
TIMES = {"connection_timeout": "4s", "headers_timeout": "4s", "keep_alive_timeout": "5s", "stream_idle_timeout": "4s",
         "request_timeout": "5s"}
SESSIONS = {"ping_interval": "2s", "pong_timeout": "4s", "stream_idle_timeout": "4s"}
HOSTILE = "127.0.0.66"


# Those who behave: each returns how often it was served, and raises where it was not.


def keeps_alive(server, still):
    served = 0
    while still():
        with Peer(server.address) as peer:
            for _ in range(50):
                assert peer.request("/bytes?n=2000").status == 200
                served += 1
                time.sleep(0.02)
    return served


def multiplexes(server, still):
    served = 0
    while still():
        with H2(server.address) as peer:
            for n in range(50):
                assert peer.get(2 * n + 1).status == 200
                served += 1
                time.sleep(0.02)
    return served


def talks(server, still):
    served = 0
    while still():
        with Ws(server.address) as peer:
            for _ in range(50):
                peer.say(TEXT, b"hello")
                while peer.hear() != (TEXT, b"hello"):
                    pass
                served += 1
                time.sleep(0.02)
    return served


HONEST = [keeps_alive] * 4 + [multiplexes] * 2 + [talks] * 2

# Those who do not: one connection each, again and again.


def says_nothing(address):
    with Peer(address, source=HOSTILE) as peer:
        peer.closed(6)


def says_half_a_head(address):
    with Peer(address, source=HOSTILE) as peer:
        peer.drip(get()[:30], every=0.2, within=6)


def sends_no_body(address):
    with Peer(address, source=HOSTILE) as peer:
        peer.send("POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nx")
        peer.closed(6)


def reads_nothing(address):
    with Peer(address, source=HOSTILE, receive_buffer=4096) as peer:
        peer.send(get("/bytes?n=50000000"))
        time.sleep(5)


def talks_nonsense(address):
    with Peer(address, source=HOSTILE) as peer:
        peer.send(random.randbytes(2000))
        peer.closed(6)


def resets(address):
    for _ in range(20):
        peer = Peer(address, source=HOSTILE)
        peer.send(get("/slow?ms=1000"))
        peer.reset()
        time.sleep(0.02)


def floods_pings(address):
    with H2(address, source=HOSTILE, pongs=False) as peer:
        peer.flood([ping(b"flooding")] * 100, within=1)


def resets_rapidly(address):
    with H2(address, source=HOSTILE) as peer:
        block = peer.block(peer.fields("/slow?ms=1000"))
        peer.flood(lambda n: [headers(2 * n + 1, block), rst_stream(2 * n + 1)], within=1, most=500)


def floods_a_session(address):
    with Ws(address, source=HOSTILE, receive_buffer=4096) as peer:
        peer.socket.settimeout(1)
        while True:
            peer.say(PING, bytes(100))


def breaks_a_session(address):
    with Ws(address, source=HOSTILE) as peer:
        peer.send(frame(TEXT, b"\xff", masked=False))
        peer.closed(6)


ATTACKS = [says_nothing, says_half_a_head, sends_no_body, reads_nothing, talks_nonsense, resets, floods_pings,
           resets_rapidly, floods_a_session, breaks_a_session]


class Crowd:
    """Clients in a process of their own, which can be held; what they returned is in `results`."""

    def __init__(self, count, work, seconds):
        self.ours, self.theirs = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=self._run, args=(count, work, seconds), daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()

    @property
    def is_over(self):
        return self.ours.poll()

    def finish(self):
        assert self.ours.poll(60), "the clients hang"
        results = self.ours.recv()
        if isinstance(results, Exception):
            raise results
        return results

    @contextlib.contextmanager
    def held(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def _run(self, count, work, seconds):
        try:
            results = in_threads(count, work, seconds)
        except Exception as error:  # told where somebody reads it
            results = error
        self.theirs.send(results)


class Watch:
    """Looks once a second at what the server says and at what the kernel says."""

    def __init__(self, server, crowds):
        self.server, self.crowds, self.looks, self.wrong = server, crowds, [], []

    def look(self):
        began = time.monotonic()
        with contextlib.ExitStack() as held:
            # Nobody comes or goes between two questions, but for those whose time is over.
            for crowd in self.crowds:
                held.enter_context(crowd.held())
            if not eventually(self._books_are_right, 1.0):
                self.wrong.append(self.seen)
        self.looks.append((began, resident_bytes(self.server.pid)))
        time.sleep(max(0.0, began + 1 - time.monotonic()))

    def slope(self):
        """Bytes a second, by the median of all pairs: a single look does not turn it."""
        half = self.looks[len(self.looks) // 3:]
        step = max(1, len(half) // 200)
        half = half[::step]
        return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for n, a in enumerate(half) for b in half[n + 1:])

    def _books_are_right(self):
        before = self.server.sockets()
        listener, = self.server.json("/health")["listeners"]
        counted = sum(listener[it] for it in ("active_connections", "refusing"))
        self.seen = before, listener
        return before == counted == self.server.sockets()


def soak(serve, seconds, most_slope):
    pools = {"http": TIMES, "http2": TIMES, "websocket": SESSIONS}
    with serve(listener={"protocols": ["http", "http2", "websocket"]}, pools=pools,
               log={"access": False, "level": "error"}) as server:
        warm(server)
        files = descriptors(server.pid)

        def hostile(n, still):
            while still():
                # It is thrown out in the middle of a word, as it should be.
                with contextlib.suppress(OSError, EOFError, AssertionError):
                    ATTACKS[n % len(ATTACKS)](server.address)

        def honest(n, still):
            return HONEST[n](server, still)

        with Crowd(len(HONEST), honest, seconds) as those, Crowd(2 * len(ATTACKS), hostile, seconds) as others:
            watch = Watch(server, [those, others])
            while not those.is_over and not others.is_over:
                watch.look()
                assert not watch.wrong, f"look {len(watch.looks)}: {watch.wrong[0]}"
            served = sum(those.finish())
            others.finish()
        assert served > 10 * seconds, "hardly any load"
        assert eventually(lambda: server.active() == 0 == server.sockets(), 10)
        assert server.in_flight() == 0
        assert eventually(lambda: descriptors(server.pid) <= files + 1)
        assert watch.slope() < most_slope, f"{watch.slope() * 600 / MIB:.2f} MiB in ten minutes"
        metrics = server.metrics()
        assert not {"panic", "application_error"} & set(metrics.by("wharf_connections_closed_total", "reason"))


@pytest.mark.heavy
@pytest.mark.parametrize("seconds, slope", [
    # So short a time tells a leak for each connection or request, and no slow one.
    pytest.param(15, 0.5 * MIB, id="a quarter of a minute"),
    pytest.param(1800, MIB / 600, id="half an hour", marks=pytest.mark.long),
])
def test_a_mix_of_everything_leaves_the_books_right_and_the_memory_flat(serve, seconds, slope):
    soak(serve, seconds, slope)

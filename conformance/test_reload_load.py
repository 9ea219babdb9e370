"""Reloads under load of every protocol, every third file broken: nobody who is served notices."""

import itertools
import json
import os
import queue
import socket
import statistics
import threading
import time
from pathlib import Path

# Samplers of other tests fork; the child uses no gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import pytest

from harness import H2, Peer, Ws, descriptors, free_port, in_threads, resident_bytes
from test_reload import BROKEN, reloads, replace

HTTP, HTTP2, CALLS, SESSIONS = 200, 50, 20, 100
# How long each client pauses: the clients share the processors with the server.
PAUSE = 0.25
WINDOW = 5.0
# message = "x", by hand: gRPC's own generated code is for other tests.
MESSAGE = b"\x0a\x01x"


def listening_inode(port):
    suffix = ":%04X" % port
    for line in Path("/proc/net/tcp").read_text().splitlines():
        row = line.split()
        if row[1].endswith(suffix) and row[3] == "0A":
            return row[9]
    return None


class Diary:
    """When each exchange began and how long it took, by protocol."""

    def __init__(self):
        self.entries, self.lock = {}, threading.Lock()

    def keep(self, protocol, entries):
        with self.lock:
            self.entries.setdefault(protocol, []).extend(entries)


def timed(exchange, still):
    """Exchanges without end; returns when each began and how long it took."""
    entries = []
    while still():
        began = time.monotonic()
        exchange()
        entries.append((began, time.monotonic() - began))
        time.sleep(PAUSE)
    return entries


def http_client(address, still):
    with Peer(address) as peer:
        def exchange():
            response = peer.request()
            assert response.status == 200 and response.body == b"Hello, World!"
            assert not response.says_close
        return timed(exchange, still)


def http2_client(address, still):
    with H2(address) as client:
        streams = itertools.count(1, 2)

        def exchange():
            assert client.get(next(streams)).status == 200
            assert not client.goaways
            # What has come is not needed any more.
            client.frames.clear()
        return timed(exchange, still)


def session(address, still):
    with Ws(address) as client:
        def exchange():
            client.say(0x81, b"are you there")
            first, payload = client.hear()
            while first == 0x89:
                client.say(0x8a, payload)
                first, payload = client.hear()
            assert (first, payload) == (0x81, b"are you there")
        return timed(exchange, still)


def call(address, still):
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel("%s:%d" % address, options=options) as channel:
        bidi = channel.stream_stream("/wharf.demo.v1.Echo/Bidi")
        said = queue.SimpleQueue()
        replies = bidi(iter(said.get, None), timeout=300)

        def exchange():
            said.put(MESSAGE)
            assert next(replies) == MESSAGE
        entries = timed(exchange, still)
        said.put(None)
        assert list(replies) == []
        return entries


CROWD = [("http", http_client)] * HTTP + [("http2", http2_client)] * HTTP2 \
    + [("grpc", call)] * CALLS + [("websocket", session)] * SESSIONS


class Reloads:
    """Changes the file once a second, every third time into a broken one; rests every other window."""

    def __init__(self, server, taken):
        self.server, self.good = server, server.text()
        self.broken = itertools.cycle(
            text.replace("TAKEN", str(taken)).replace("{}", self.good) for text in BROKEN.values())
        self.inode = listening_inode(server.address[1])
        self.busy, self.sizes, self.files = [], [], []
        self.rounds = self.rejected = 0

    def run(self, still):
        while still():
            time.sleep(WINDOW)
            began = time.monotonic()
            while still() and time.monotonic() - began < WINDOW:
                self.rounds += 1
                self.change()
                if still():
                    # Afterwards the clients leave, and that is no measure.
                    self.sizes.append(resident_bytes(self.server.pid))
                    self.files.append(descriptors(self.server.pid))
                time.sleep(1)
            self.busy.append((began, time.monotonic()))
        return []

    def change(self):
        n, server = self.rounds, self.server
        if n % 3 == 0:
            replace(server, next(self.broken))
            status, _, body = server.write("/reload", "POST")
            assert status == 422 and json.loads(body)["errors"], body
            self.rejected += 1
        else:
            extra = '[[listener]]\nname = "c"\naddress = "127.0.0.1:%d"\n' % free_port()
            extra += 'protocols = ["http"]\n'
            text = self.good.replace("max_connections = 1000", f"max_connections = {1000 + n}")
            replace(server, text + (extra if n % 3 == 1 else ""))
            status, _, body = server.write("/reload", "POST")
            assert status == 200, body
            assert server.json("/pools/web/http")["config"]["max_connections"] == 1000 + n
        assert listening_inode(server.address[1]) == self.inode, "the listener was closed"


def percentile(values):
    return sorted(values)[int(len(values) * 0.99)]


def compare(entries, busy, began, until):
    """The medians of the 99th percentiles of quiet windows and of those with reloads."""
    quiet, edges = [], [began, *itertools.chain.from_iterable(busy), until]
    for start, end in zip(edges[::2], edges[1::2]):
        # The first seconds of all are for the crowd to come in.
        quiet.append([took for at, took in entries if max(start, began + 2) <= at < end])
    loud = [[took for at, took in entries if start <= at < end] for start, end in busy]
    median = [statistics.median([percentile(window) for window in windows if len(window) > 50])
              for windows in (quiet, loud)]
    return tuple(median)


def reload_under_load(serve, seconds, timed):
    """Reloads once a second; `timed` is whether the times of the clients are judged too."""
    protocols = ["http", "http2", "grpc", "websocket"]
    with serve({"max_connections": 1000}, listener={"protocols": protocols}, log={"access": False},
               limits={"max_connections": 2000}) as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        diary, reloading = Diary(), Reloads(server, taken.getsockname()[1])

        def run(n, still):
            if n == len(CROWD):
                return reloading.run(still)
            protocol, client = CROWD[n]
            diary.keep(protocol, client(server.address, still))
            return []

        began = time.monotonic()
        in_threads(len(CROWD) + 1, run, seconds)
        assert reloading.rounds >= seconds * 0.3 and reloading.rejected >= reloading.rounds // 3
        assert reloads(server)["rejected"] >= reloading.rejected
        closed = server.metrics().by("wharf_connections_closed_total", "reason")
        assert set(closed) <= {"client_closed", "completed"}, closed
        for protocol, clients in (("http", HTTP), ("http2", HTTP2), ("grpc", CALLS), ("websocket", SESSIONS)):
            entries = diary.entries[protocol]
            assert len(entries) > clients * seconds, f"{protocol}: the clients hardly asked"
            quiet, loud = compare(entries, reloading.busy, began, began + seconds)
            print(f"{protocol}: p99 {quiet * 1e3:.1f} ms quiet, {loud * 1e3:.1f} ms with reloads")
            # A few milliseconds are what this machine's own clients differ by from window to window.
            assert not timed or loud < max(2 * quiet, quiet + 0.01), (protocol, quiet, loud)
        # The first rounds fill caches and the history.
        settled = reloading.sizes[len(reloading.sizes) // 3:]
        assert max(settled) - min(settled) < 4 << 20, [size >> 10 for size in reloading.sizes]
        assert max(reloading.files[1:]) - min(reloading.files[1:]) <= 8, reloading.files


@pytest.mark.heavy
def test_reloads_every_second_cost_nobody_a_request(serve):
    # Too few windows to compare on a machine that others use too.
    reload_under_load(serve, 20, timed=False)


@pytest.mark.long
@pytest.mark.heavy
def test_sixty_reloads_cost_nobody_a_request(serve):
    reload_under_load(serve, 125, timed=True)

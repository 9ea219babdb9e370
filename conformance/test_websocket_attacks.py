"""Sessions of those who send what costs most, take nothing, or are gone without a word."""

import asyncio
import random
import selectors
import signal
import struct
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from harness import (
    H2, Elsewhere, MemoryLimit, Peer, Probe, Sampler, Ws, connect_many, cpu_seconds, descriptors,
    eventually, in_threads, resident_bytes,
)
from harness.ws import BINARY, CLOSE, PING, TEXT, frame, handshake

QUIET = {"access": False}
KIB, MIB = 1 << 10, 1 << 20
LATE = 0.5


@pytest.fixture
def serve_ws(serve):
    """A server with sessions; `ws` are the keys of their pool."""
    def start(ws=None, **more):
        protocols = ["http", "http2", "websocket"]
        pools = {"websocket": ws or {}} | more.pop("pools", {})
        return serve(listener={"protocols": protocols}, pools=pools, log=QUIET, **more)
    return start


def ended(server):
    """Sessions that have ended, by reason."""
    return server.metrics().by("wharf_connections_closed_total", "reason")


def warm(server):
    """The memory of a server that has had a session."""
    for _ in range(5):
        with Ws(server.address) as peer:
            peer.say(BINARY, bytes(200 * KIB))
            peer.hear()
    eventually(lambda: server.active() == 0)
    time.sleep(0.1)
    return resident_bytes(server.pid)


def pour(peer, data, within):
    """Sends the same again and again and reads nothing, until it is cut; how long that took."""
    began = time.monotonic()
    peer.socket.settimeout(within)
    with suppress(ConnectionError):
        while time.monotonic() - began < within:
            peer.socket.sendall(data)
    return time.monotonic() - began


# Those who send.


@pytest.mark.heavy
def test_a_flood_of_pings_does_not_fill_a_small_memory(serve_ws):
    flood = frame(PING, bytes(125)) * 500
    with MemoryLimit(64 * MIB) as memory, serve_ws(memory=memory) as server, ExitStack() as threads:
        before = warm(server)
        until, floods = time.monotonic() + 5, []

        def attack():
            while time.monotonic() < until:
                with Ws(server.address, receive_buffer=4096) as peer:
                    floods.append(pour(peer, flood, 5))

        with Probe(server) as probe, Sampler(lambda: resident_bytes(server.pid), 0.01) as resident:
            attackers = [threading.Thread(target=attack) for _ in range(4)]
            for attacker in attackers:
                threads.callback(attacker.join)
                attacker.start()
            for attacker in attackers:
                attacker.join(20)
        assert max(floods) < 3 + LATE
        assert max(resident.values) - before <= 4 * MIB
        assert memory.most() < 48 * MIB
        assert probe.slow() < 0.25
        assert eventually(lambda: ended(server)["websocket_abuse"] == len(floods), 3)
        server.stop()


UNENDING = {
    "401 fragments of a mebibyte": (bytes(MIB), {}, 1009, "message_too_large"),
    "401 fragments that may be as large": (bytes(MIB), {"max_frame_size": "1MiB"}, 1009, "message_too_large"),
    "fragments of nothing": (b"", {}, 1008, "websocket_abuse"),
    "fragments of a byte": (b"x", {}, 1008, "websocket_abuse"),
}


@pytest.mark.heavy
@pytest.mark.parametrize("payload, ws, code, reason", UNENDING.values(), ids=UNENDING)
def test_a_message_without_an_end_costs_no_memory_and_little_time(serve_ws, payload, ws, code, reason):
    more = frame(0x00, payload) * (1 if payload[1:] else 1000)
    with serve_ws(ws) as server, Probe(server) as probe:
        before, spent = warm(server), cpu_seconds(server.pid)
        with Sampler(lambda: resident_bytes(server.pid), 0.005) as resident:
            with server.expecting(closed={reason: 1}, within=6), Ws(server.address) as peer:
                peer.say(0x02, payload)
                sent, began = 0, time.monotonic()
                peer.socket.settimeout(5)
                with suppress(ConnectionError):
                    while sent < 401 or not payload[1:]:
                        peer.socket.sendall(more)
                        sent += 1
                # It does not listen, so it is cut when its answer to the Close has not come.
                assert time.monotonic() - began < 3 + LATE
                with suppress(ConnectionError):
                    assert peer.heard_close(1) == code
        assert max(resident.values) - before <= 2 * MIB
        assert cpu_seconds(server.pid) - spent < 1.5
    assert probe.slow() < 0.25


# Those who take nothing.


class Member:
    """A session in a room that is to hear `wanted` and nothing else, once it is really in."""

    def __init__(self, peer, wanted):
        self.peer, self.wanted, self.at, self.before = peer, wanted, 0, b""

    def read(self, is_in=True):
        got = self.peer.socket.recv(1 << 18)
        assert got, "the session has ended"
        if not is_in:
            self.before += got
            return
        assert self.wanted[self.at:self.at + len(got)] == got, f"other bytes than were said, at {self.at}"
        self.at += len(got)


def all_in(members, selector):
    """Waits until all hear the same: a session is answered before it has its seat in the room."""
    for turn in range(100):
        call = b"%04d" % turn
        members[0].peer.say(TEXT, call)
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            for key, _ in selector.select(0.01):
                key.data.read(is_in=False)
            if all(member.before.endswith(call) for member in members):
                return
    raise AssertionError("not all come in")


@pytest.mark.heavy
@pytest.mark.parametrize("policy", ["close", "drop_oldest"])
def test_a_slow_consumer_costs_a_thousand_others_nothing(serve_ws, policy):
    count, messages, size = 1000, 100, 8 * KIB
    said = [struct.pack("!I", n) * (size // 4) for n in range(messages)]
    wanted = b"".join(struct.pack("!BBH", BINARY, 126, size) + message for message in said)
    ws = {"slow_consumer": policy, "ping_interval": "5m"}
    with serve_ws(ws) as server, ExitStack() as peers, selectors.DefaultSelector() as selector:
        room = "/ws/room/busy"
        slow = peers.enter_context(Ws(server.address, room, receive_buffer=4096))
        members = [Member(peers.enter_context(Ws(server.address, room)), wanted) for _ in range(count)]
        speaker = members[0].peer
        for member in members:
            selector.register(member.peer.socket, selectors.EVENT_READ, member)
        all_in(members, selector)
        before, until = 0, time.monotonic() + 60
        for n, message in enumerate(said):
            if n == 10:
                # All have had messages of that size.
                before = resident_bytes(server.pid)
            speaker.say(BINARY, message)
            # No faster than all others take it, or these are slow too.
            while min(member.at for member in members) < len(wanted) * (n - 4) // messages:
                assert time.monotonic() < until
                for key, _ in selector.select(5):
                    key.data.read()
        while any(member.at < len(wanted) for member in members):
            assert time.monotonic() < until
            for key, _ in selector.select(5):
                key.data.read()
        grown = resident_bytes(server.pid) - before
        assert grown < 2 * MIB, f"{grown / MIB:.1f} MiB"
        if policy == "close":
            assert eventually(lambda: ended(server).get("slow_consumer") == 1, 4)
            assert server.active() == count
        else:
            assert not ended(server) and server.active() == count + 1
        slow.close()


# Those who say nothing.


@pytest.mark.heavy
def test_an_idle_session_costs_five_kilobytes_at_most(serve_ws):
    count = 2000
    with serve_ws() as server, ExitStack() as peers:
        before = warm(server)
        for _ in range(count):
            peer = peers.enter_context(Ws(server.address))
            peer.say(TEXT, b"hello")
            assert peer.hear() == (TEXT, b"hello")
        assert server.active() == count
        time.sleep(2)
        each = (resident_bytes(server.pid) - before) / count
        assert each <= 5000, f"{each:.0f} bytes each"


# Those who are gone.


# A browser leaves its connections when the machine gets another address: not at the same time.
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("kind, reason", [(Ws, "pong_timeout"), (H2, "ping_timeout")], ids=["session", "http2"])
def test_a_peer_whose_network_is_gone_is_found_in_time(serve_ws, kind, reason):
    pings = {"ping_interval": "1s", "pong_timeout": "1s"}
    http2 = {"ping_interval": "1s", "ping_timeout": "1s"}
    with Elsewhere() as elsewhere, serve_ws(pings, pools={"http2": http2}, host=elsewhere.host) as server:
        peer = elsewhere.call(lambda: kind(server.address))
        if kind is Ws:
            peer.say(TEXT, b"hello")
            assert peer.hear() == (TEXT, b"hello")
        else:
            assert peer.get().status == 200
        with peer:
            elsewhere.cut()
            began = time.monotonic()
            assert eventually(lambda: ended(server) == {reason: 1}, 3.5)
            assert time.monotonic() - began <= 1 + 1 + 1
        assert eventually(lambda: server.active() == 0 == server.sockets())


# Those who are many.


@pytest.mark.heavy
def test_a_storm_of_upgrades_never_passes_the_limit_and_leaves_nothing(serve_ws):
    count, limit = 1000, 50
    with serve_ws({"max_connections": limit}) as server:
        def sessions():
            return int(server.metrics().total("wharf_connections_active", protocol="websocket"))

        files = descriptors(server.pid)
        with Sampler(sessions, every=0.002) as watched:
            with connect_many(server.address, count, handshake().encode()) as crowd:
                answered = lambda: len(crowd.answered(101)) + len(crowd.answered(503))
                crowd.serve(10, until=lambda: answered() == count)
                assert len(crowd.answered(101)) == limit == sessions()
                assert len(crowd.answered(503)) == count - limit
                for turn in range(10):
                    # Places that are given back are taken by those who ask again.
                    for sock in crowd.answered(101)[:20]:
                        crowd.leave(sock, reset=turn % 2)
                    crowd.serve(2, until=lambda: sessions() == limit - 20)
                    for sock in crowd.answered(503)[:40]:
                        crowd.received[sock] = b""
                        sock.send(handshake().encode())
                    crowd.serve(5, until=lambda: sessions() == limit)
            assert eventually(lambda: server.active() == 0 == server.sockets(), 5)
        assert max(watched.values) == limit
        assert eventually(lambda: descriptors(server.pid) <= files + 1)
        assert server.in_flight() == 0


@pytest.mark.heavy
def test_two_thousand_sessions_that_end_in_every_way_leave_nothing_behind(serve_ws):
    def live(n, still):
        """A session that ends in one of many ways, again and again."""
        chance = random.Random(n)
        for _ in range(250):
            if not still():
                return
            way = chance.randrange(7)
            with Ws(server.address, chance.choice(["/ws", "/ws/room/all"])) as peer:
                if way == 0:
                    peer.say(CLOSE, b"\x03\xe8")
                    assert peer.heard_close() == 1000
                elif way == 1:
                    peer.reset()
                elif way == 2:
                    peer.send(frame(TEXT, b"half")[:5])
                elif way == 3:
                    peer.say(0x01, b"begun")
                    peer.reset()
                elif way == 4:
                    peer.send(chance.randbytes(chance.randrange(1, 300)))
                elif way == 5:
                    peer.say(TEXT, b"echo")
                    peer.hear()

    with serve_ws() as server:
        in_threads(8, lambda n, still: live(n, still) if n else None, 5)
        assert eventually(lambda: server.active() == 0 == server.sockets(), 5)
        before, files = resident_bytes(server.pid), descriptors(server.pid)
        in_threads(8, lambda n, still: live(n + 100, still), 15)
        assert eventually(lambda: server.active() == 0 == server.sockets(), 8)
        assert server.in_flight() == 0 and descriptors(server.pid) <= files + 1
        assert resident_bytes(server.pid) - before <= 2 * MIB
        known = {"client_closed", "completed", "peer_reset", "protocol_error", "message_too_large"}
        assert set(ended(server)) <= known, ended(server)
        assert server.metrics().total("wharf_connections_closed_total") >= 2000
        with Ws(server.address) as peer:
            peer.say(TEXT, b"hello")
            assert peer.hear() == (TEXT, b"hello")


# Those who are told.


async def chat(url, told, busy):
    """Talks, or listens, until the server says goodbye; notes with which code."""
    async with connect(url, ping_interval=None, close_timeout=5) as ws:
        told["open"] += 1
        try:
            while True:
                if busy:
                    await ws.send("x" * 500)
                assert await ws.recv() == "x" * 500
        except ConnectionClosed:
            told["codes"].append((ws.protocol.close_rcvd.code if ws.protocol.close_rcvd else None))


def drain_of_sessions(serve_ws, count=100):
    """A drain while half of the sessions talk, and clients of HTTP/1 ask."""
    told = {"open": 0, "codes": []}
    with serve_ws(server={"drain_timeout": "8s"}) as server:
        url = "ws://%s:%d/ws" % server.address

        async def crowd():
            await asyncio.gather(*(chat(url, told, n % 2) for n in range(count)))

        talking = threading.Thread(target=asyncio.run, args=[crowd()])
        talking.start()
        assert eventually(lambda: told["open"] == count, 10)
        with Peer(server.address) as asking:
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                assert asking.request().status == 200
            began = server.signal(signal.SIGTERM)
            assert server.exited(within=8) == 0
        took = time.monotonic() - began
        talking.join(10)
        assert told["codes"] == [1001] * count
        assert took < 5
        cut = [entry for entry in server.lines() if "cut" in entry]
        assert cut and int(cut[-1]["cut"]) == 0, server.tail()


@pytest.mark.heavy
@pytest.mark.parametrize("run", range(10))
def test_ten_drains_tell_each_session(serve_ws, run):
    drain_of_sessions(serve_ws)


@pytest.mark.long
@pytest.mark.heavy
@pytest.mark.parametrize("run", range(30))
def test_thirty_drains_tell_each_session(serve_ws, run):
    drain_of_sessions(serve_ws)

"""WebSocket: sessions of honest clients, their limits, and how each of them ends."""

import asyncio
import os
import signal
import ssl
import threading
import time

import pytest
import websockets
from websockets.asyncio.client import connect

from harness import Peer, Probe, Ws, eventually, resident_bytes, tls_client
from harness.ws import BINARY, CLOSE, KEY, PING, PONG, TEXT, frame, handshake

LATE, EARLY = 0.5, 0.01
QUIET = {"access": False}
MIB = 1 << 20
ALL = ["http", "http2", "grpc", "websocket"]


@pytest.fixture
def serve_ws(serve):
    """A server with sessions; `ws` are the keys of their pool, `http` those of the pool before it."""
    def start(ws=None, http=None, protocols=ALL, **more):
        pools = {"websocket": ws or {}} if "websocket" in protocols else {}
        return serve(http, listener={"protocols": protocols}, pools=pools, log=QUIET, **more)
    return start


def pools(server):
    """Open connections of each pool."""
    health = {pool["protocol"]: pool["health"] for pool in server.json("/pools")["pools"]}
    return {name: health[name]["active_connections"] for name in ("http", "websocket")}


def status_of(server, request):
    with Peer(server.address) as peer:
        peer.send(request)
        return peer.response()


def url(server, path="/ws", scheme="ws"):
    return f"{scheme}://localhost:{server.address[1]}{path}"


# Honest clients.


def test_every_kind_of_message_comes_back(serve_ws):
    async def talk(server):
        async with connect(url(server), max_size=None, compression="deflate") as ws:
            for message in ("text", "späße ☕", b"\x00\xff", "", b"", "x" * 200_000, os.urandom(250_000)):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.send(["in ", "many ", "fragments"])
            assert await ws.recv() == "in many fragments"
            assert await asyncio.wait_for(await ws.ping(b"anyone?"), 2) < 1
            assert pools(server) == {"http": 0, "websocket": 1}
        assert (ws.close_code, ws.close_reason) == (1000, "")

    with serve_ws() as server:
        with server.expecting(closed={"client_closed": 1}):
            asyncio.run(talk(server))


def test_sessions_over_tls(serve_tls):
    async def talk(server):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with connect(url(server, scheme="wss"), ssl=context) as ws:
            await ws.send(b"x" * 100_000)
            assert await ws.recv() == b"x" * 100_000
        assert ws.close_code == 1000

    with serve_tls(protocols=("https", "http2", "websocket")) as server:
        asyncio.run(talk(server))
        eventually(lambda: server.active() == 0)


def test_all_in_a_room_hear_what_one_says(serve_ws):
    async def talk(server):
        room, other = url(server, "/ws/room/lobby"), url(server, "/ws/room/elsewhere")
        async with connect(room) as a, connect(room) as b, connect(other) as c:
            await a.send("hello")
            assert [await a.recv(), await b.recv()] == ["hello", "hello"]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(c.recv(), 0.3)
            assert pools(server)["websocket"] == 3

    with serve_ws() as server:
        asyncio.run(talk(server))
        eventually(lambda: server.active() == 0)


def test_a_connection_moves_with_the_answer_and_is_counted_once(serve_ws):
    with serve_ws() as server:
        peers = []
        for n in range(1, 6):
            peers.append(Ws(server.address))
            assert pools(server) == {"http": 0, "websocket": n}
            assert server.sockets() == n
        for peer in peers:
            peer.close()
        eventually(lambda: pools(server) == {"http": 0, "websocket": 0})
        closed = server.metrics()
        assert closed.total("wharf_connections_closed_total", protocol="websocket") == 5
        assert closed.total("wharf_connections_closed_total", protocol="http") == 0


def test_what_comes_with_the_handshake_is_the_sessions(serve_ws):
    early = frame(TEXT, b"early") + frame(BINARY, bytes(20_000))
    with serve_ws() as server, Ws(server.address, early=early) as peer:
        assert [peer.hear(), peer.hear()] == [(TEXT, b"early"), (BINARY, bytes(20_000))]


def test_a_changed_limit_holds_for_sessions_that_are_there(serve_ws):
    with serve_ws() as server, Ws(server.address) as one, Ws(server.address) as two:
        one.say(BINARY, bytes(20_000))
        assert one.hear() == (BINARY, bytes(20_000))
        change = {"max_message_size": "10KiB", "ping_interval": "500ms"}
        status, _, answer = server.write("/pools/web/websocket", "PATCH", change)
        assert status == 200, answer
        # A Ping is due by the new interval, which a session learns of with its next step.
        two.say(TEXT, b"hello")
        assert two.hear() == (TEXT, b"hello")
        assert two.hear(2)[0] == PING
        one.say(BINARY, bytes(20_000))
        assert one.heard_close() == 1009


# Who gets no session.


@pytest.mark.parametrize("request_, status", [
    (handshake(version="8"), 426),
    (handshake(key="short"), 400),
    (handshake().replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"), 400),
    (handshake().replace("Sec-WebSocket-Version: 13\r\n", ""), 400),
    (handshake("/hello"), 200),
    (handshake("/nowhere"), 404),
], ids=["version", "key", "method", "no version", "no session there", "nothing there"])
def test_what_is_no_handshake_is_refused_and_gives_the_place_back(serve_ws, request_, status):
    with serve_ws({"max_connections": 1}) as server:
        for _ in range(3):
            answer = status_of(server, request_)
            assert answer.status == status
            if status == 426:
                assert answer.headers["sec-websocket-version"] == "13"
        with Ws(server.address):
            pass


def test_a_full_pool_refuses_and_the_connection_goes_on(serve_ws):
    with serve_ws({"max_connections": 2}) as server:
        with Ws(server.address) as first, Ws(server.address), Peer(server.address) as third:
            third.send(handshake())
            answer = third.response()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert third.request().status == 200
            assert pools(server) == {"http": 1, "websocket": 2}
            rejected = server.metrics().by("wharf_connections_rejected_total", "reason")
            assert rejected["pool_limit"] == 1
            first.say(CLOSE, b"\x03\xe8")
            assert first.heard_close() == 1000
            first.closed(1)
            first.close()
            eventually(lambda: pools(server)["websocket"] == 1)
            third.send(handshake())
            assert b" 101 " in third._take_until(b"\r\n\r\n", time.monotonic() + 2)


def test_pages_from_elsewhere_get_403(serve_ws):
    with serve_ws({"allowed_origins": ["https://app.example"]}) as server:
        for origin, status in (("https://evil.example", 403), ("null", 403)):
            assert status_of(server, handshake(headers=f"Origin: {origin}\r\n")).status == status
        with Ws(server.address, headers="Origin: https://app.example\r\n"), Ws(server.address):
            assert pools(server)["websocket"] == 2


def test_a_listener_without_sessions_makes_no_upgrade(serve_ws):
    with serve_ws(protocols=["http"]) as server:
        assert status_of(server, handshake()).status == 400
        assert status_of(server, handshake("/hello")).status == 200


# Who breaks a rule.


def bytes_of(*frames):
    return b"".join(frame(*each) for each in frames)


RULES = {
    "unmasked": (frame(TEXT, b"x", masked=False), 1002, "protocol_error"),
    "reserved bit": (frame(0xc1, b"x"), 1002, "protocol_error"),
    "reserved opcode": (frame(0x83, b"x"), 1002, "protocol_error"),
    "long ping": (frame(PING, bytes(126)), 1002, "protocol_error"),
    "fragmented ping": (frame(0x09, b""), 1002, "protocol_error"),
    "nothing to continue": (frame(0x80, b""), 1002, "protocol_error"),
    "message within another": (bytes_of((0x01, b"a"), (TEXT, b"b")), 1002, "protocol_error"),
    "large frame": (frame(BINARY, b"", length=MIB), 1009, "message_too_large"),
    "large message": (bytes_of((0x02, bytes(60_000)), *[(0x00, bytes(60_000))] * 4, (0x80, bytes(60_000))),
                      1009, "message_too_large"),
    "many fragments": (bytes_of((0x01, b""), *[(0x00, b"x")] * 128), 1008, "websocket_abuse"),
    "empty fragments": (bytes_of((0x01, b""), *[(0x00, b"")] * 50_000), 1008, "websocket_abuse"),
}


@pytest.mark.parametrize("data, code, reason", RULES.values(), ids=RULES)
def test_a_broken_rule_ends_the_session_with_its_code(serve_ws, data, code, reason):
    with serve_ws({"max_message_size": "300KiB", "max_frame_size": "64KiB"}) as server:
        with server.expecting(closed={reason: 1}), Ws(server.address) as peer:
            began = peer.send(data)
            assert peer.heard_close() == code
            assert time.monotonic() - began < LATE
            peer.say(CLOSE, code.to_bytes(2, "big"))
            peer.closed(2)


@pytest.mark.parametrize("data, code", [
    (frame(TEXT, b"\xff\xfe"), 1007),
    (bytes_of((0x01, b"\xe2\x98"), (0x80, b"x")), 1007),
    (frame(CLOSE, b"\x03\xed"), 1002),
    (frame(CLOSE, b"\x00\x00"), 1002),
], ids=["no text", "broken text", "1005", "0"])
def test_what_the_handlers_codec_refuses_is_told(serve_ws, data, code):
    with serve_ws() as server, Ws(server.address) as peer:
        peer.send(data)
        assert peer.heard_close() == code
        peer.closed(5)


def test_the_rest_of_a_message_does_not_come(serve_ws):
    with serve_ws({"stream_idle_timeout": "1s"}) as server:
        with server.expecting(closed={"stream_idle": 1}), Ws(server.address) as peer:
            began = peer.say(0x01, b"begun")
            assert peer.heard_close() == 1008
            assert 1 - EARLY <= time.monotonic() - began <= 1 + LATE


@pytest.mark.heavy
def test_a_flood_of_pings_from_one_who_does_not_read_costs_nothing(serve_ws):
    with serve_ws() as server:
        Ws(server.address).close()
        before = resident_bytes(server.pid)
        flood, until, floods = frame(PING, bytes(125)) * 500, time.monotonic() + 5, 0
        with Probe(server) as probe:
            while time.monotonic() < until:
                with Ws(server.address, receive_buffer=4096) as peer:
                    floods += 1
                    peer.socket.settimeout(1)
                    with pytest.raises(OSError):
                        while time.monotonic() < until + 5:
                            peer.socket.send(flood)
                assert resident_bytes(server.pid) - before <= MIB
        assert probe.slow() < 0.1

        def ended():
            reasons = server.metrics().by("wharf_connections_closed_total", "reason")
            return reasons["websocket_abuse"] == floods
        eventually(ended, 3)


# Who is silent, slow, or old.


def test_a_client_that_is_gone_is_found_by_a_ping(serve_ws):
    with serve_ws({"ping_interval": "1s", "pong_timeout": "1s"}) as server:
        with server.expecting(closed={"pong_timeout": 1}), Ws(server.address) as peer:
            began = time.monotonic()
            assert peer.hear()[0] == PING
            assert 1 - EARLY <= time.monotonic() - began <= 1 + LATE
            peer.closed(1 + LATE)
            assert 2 - EARLY <= time.monotonic() - began <= 2 + 2 * LATE


def test_a_client_that_answers_is_kept_and_anything_is_an_answer(serve_ws):
    with serve_ws({"ping_interval": "500ms", "pong_timeout": "500ms"}) as server, Ws(server.address) as peer:
        for n in range(6):
            first, payload = peer.hear()
            while first != PING:
                first, payload = peer.hear()
            peer.say(PONG if n % 2 else TEXT, payload if n % 2 else b"here")
        assert pools(server)["websocket"] == 1


def test_an_idle_session_is_told_and_pings_do_not_keep_it(serve_ws):
    with serve_ws({"keep_alive_timeout": "1500ms", "ping_interval": "500ms"}) as server:
        with server.expecting(closed={"idle": 1}), Ws(server.address) as peer:
            began = time.monotonic()
            while (heard := peer.hear())[0] == PING:
                peer.say(PONG, heard[1])
            assert heard == (CLOSE, b"\x03\xe9")
            assert 1.5 - EARLY <= time.monotonic() - began <= 1.5 + LATE
            peer.say(CLOSE, b"\x03\xe9")
            peer.closed(1)


def test_an_old_session_is_told(serve_ws):
    with serve_ws({"max_age": "1s"}) as server:
        with server.expecting(closed={"max_age": 1}), Ws(server.address) as peer:
            assert peer.heard_close(2) == 1001
            peer.say(CLOSE, b"\x03\xe9")
            peer.closed(1)


def test_who_does_not_answer_our_close_is_left(serve_ws):
    with serve_ws({"max_age": "500ms"}) as server:
        with server.expecting(closed={"max_age": 1}, within=5), Ws(server.address) as peer:
            assert peer.heard_close(2) == 1001
            peer.closed(3 + LATE)


def test_an_operator_ends_a_session_with_a_close(serve_ws):
    with serve_ws() as server:
        with server.expecting(closed={"admin": 1}), Ws(server.address) as peer:
            [connection] = server.json("/connections?pool=web/websocket")["connections"]
            assert server.write(f"/connections/{connection['id']}", "DELETE")[0] < 300
            assert peer.heard_close() == 1001
            peer.say(CLOSE, b"\x03\xe9")
            peer.closed(1)


@pytest.mark.heavy
@pytest.mark.parametrize("policy", ["close", "drop_oldest"])
def test_a_slow_consumer_costs_the_others_no_message(serve_ws, policy):
    with serve_ws({"slow_consumer": policy, "max_connections": 10}) as server:
        room = "/ws/room/busy"
        with Ws(server.address, room, receive_buffer=4096) as slow, Ws(server.address, room) as other:
            Ws(server.address, room).close()
            before = resident_bytes(server.pid)
            with Ws(server.address, room) as speaker:
                heard = {speaker: 0, other: 0}

                def listen(peer):
                    while heard[peer] < 2000:
                        if peer.hear(10)[0] == BINARY:
                            heard[peer] += 1

                listeners = [threading.Thread(target=listen, args=[peer]) for peer in heard]
                for listener in listeners:
                    listener.start()
                for n in range(2000):
                    speaker.say(BINARY, bytes(10_000))
                    # As fast as it comes back, or the speaker is the slow one.
                    while n - min(heard.values()) > 10:
                        time.sleep(0.0005)
                for listener in listeners:
                    listener.join(20)
                assert set(heard.values()) == {2000}
                assert resident_bytes(server.pid) - before < 2 * MIB
                reasons = server.metrics().by("wharf_connections_closed_total", "reason")
                if policy == "close":
                    eventually(lambda: pools(server)["websocket"] == 2, 4)
                    reasons = server.metrics().by("wharf_connections_closed_total", "reason")
                    assert reasons["slow_consumer"] == 1
                else:
                    assert reasons.get("slow_consumer", 0) == 0 and pools(server)["websocket"] == 3
            slow.close()


# The end of the server.


def test_each_session_is_told_of_the_end_and_waited_for(serve_ws):
    count = 100
    with serve_ws(server={"drain_timeout": "8s"}) as server:
        peers = [Ws(server.address) for _ in range(count)]
        began = server.signal(signal.SIGTERM)
        told = []
        for peer in peers:
            assert peer.heard_close(5) == 1001
            told.append(time.monotonic() - began)
            peer.say(CLOSE, b"\x03\xe9")
        for peer in peers:
            assert peer.closed(2).how == "fin"
        assert server.exited(within=6) == 0
        assert max(told) < 3


def test_who_does_not_listen_holds_no_drain_up(serve_ws):
    with serve_ws(server={"drain_timeout": "20s"}) as server:
        peers = [Ws(server.address) for _ in range(20)]
        began = server.signal(signal.SIGTERM)
        assert server.exited(within=8) == 0
        assert time.monotonic() - began < 6
        for peer in peers:
            peer.close()

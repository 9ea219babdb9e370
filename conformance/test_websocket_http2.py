"""Sessions on streams of HTTP/2 (RFC 8441): the same promises, and the connection is shared."""

import os
import signal
import time

import pytest

from harness import H2, Setting, Ws, WsStream, eventually, resident_bytes, tls_client
from harness.h2 import window_update
from harness.ws import BINARY, CLOSE, PING, PONG, TEXT, frame

LATE, EARLY = 0.5, 0.01
QUIET = {"access": False}
MIB = 1 << 20
ALL = ["http", "http2", "grpc", "websocket"]
GOODBYE = b"\x03\xe9"


@pytest.fixture
def serve_ws(serve):
    """A server with sessions; `ws` and `http2` are the keys of these pools."""
    def start(ws=None, http2=None, protocols=ALL, **more):
        pools = {"http2": http2 or {}}
        if "websocket" in protocols:
            pools["websocket"] = ws or {}
        return serve(listener={"protocols": protocols}, pools=pools, log=QUIET, **more)
    return start


def active(server):
    """Open connections by protocol; a protocol without any is not there."""
    return server.metrics().by("wharf_connections_active", "protocol")


def sessions(server):
    """The sessions on streams."""
    pool = server.json("/pools/web/websocket")
    return pool["sessions"] - pool["health"]["active_connections"]


def opened(peer, stream=1, **how):
    session = WsStream(peer, stream, **how)
    assert session.status == 200, session.fields
    return session


def leave(*sessions):
    """Ends them in good order, as nobody does who just closes the connection."""
    for session in sessions:
        session.say(CLOSE, b"\x03\xe8")
    for session in sessions:
        assert session.heard_close() == 1000 and session.ended()


# Who gets one.


def test_sessions_are_offered_where_there_are_any(serve_ws):
    with serve_ws() as server, H2(server.address) as peer:
        assert peer.settings.get(Setting.ENABLE_CONNECT_PROTOCOL) == 1
        assert peer.settings[Setting.MAX_CONCURRENT_STREAMS] == 100
    with serve_ws(protocols=["http", "http2"]) as server, H2(server.address) as peer:
        assert not peer.settings.get(Setting.ENABLE_CONNECT_PROTOCOL)


def test_every_kind_of_message_comes_back_on_a_stream(serve_ws):
    with serve_ws() as server, server.expecting(), H2(server.address) as peer:
        session = opened(peer)
        for first, payload in ((TEXT, b"text"), (TEXT, "späße ☕".encode()), (BINARY, b""),
                               (BINARY, os.urandom(10_000))):
            session.say(first, payload)
            assert session.hear() == (first, payload)
        session.say(0x01, b"in ")
        session.say(PING, b"between")
        session.say(0x80, b"fragments")
        assert sorted([session.hear(), session.hear()]) == [(TEXT, b"in fragments"), (PONG, b"between")]
        # Frames in single bytes are frames.
        for byte in frame(TEXT, b"slowly"):
            session.send(bytes([byte]))
        assert session.hear() == (TEXT, b"slowly")
        session.say(CLOSE, b"\x03\xe8bye")
        assert session.heard_close() == 1000
        assert session.ended() == "end"
        assert peer.get(3).status == 200 and not peer.goaways


def test_a_session_on_a_stream_over_tls(serve_tls):
    with serve_tls(protocols=("https", "http2", "websocket")) as server:
        with H2(server.address, tls=tls_client(["h2"])) as peer:
            session = opened(peer)
            session.say(TEXT, b"hello")
            assert session.hear() == (TEXT, b"hello")


def test_sessions_on_streams_count_as_sessions_and_their_connection_stays_where_it_is(serve_ws):
    with serve_ws() as server, H2(server.address) as peer:
        streams = []
        for n in range(1, 6):
            streams.append(opened(peer, 2 * n - 1))
            assert active(server) == {"http2": 1} and sessions(server) == n
        streams[0].say(CLOSE, b"\x03\xe8")
        streams[1].reset()
        assert eventually(lambda: sessions(server) == 3)
        assert peer.get(11).status == 200
        peer.close()
        assert eventually(lambda: sessions(server) == 0 == server.active())


def test_both_ways_to_a_session_share_the_limit(serve_ws):
    with serve_ws({"max_connections": 2}) as server, H2(server.address) as peer:
        with Ws(server.address):
            one = opened(peer, 1)
            refused = WsStream(peer, 3)
            assert refused.status == 503 and int(refused.fields["retry-after"]) >= 1
            rejected = server.metrics().by("wharf_connections_rejected_total", "reason")
            assert rejected["pool_limit"] == 1
            assert peer.get(5).status == 200 and active(server) == {"http2": 1, "websocket": 1}
            leave(one)
            assert eventually(lambda: sessions(server) == 0)
            opened(peer, 7)


def test_a_page_from_elsewhere_gets_403_on_its_stream(serve_ws):
    with serve_ws({"allowed_origins": ["https://app.example"]}) as server, H2(server.address) as peer:
        assert WsStream(peer, 1, more=[("origin", "https://evil.example")]).status == 403
        opened(peer, 3, more=[("origin", "https://app.example")])
        assert sessions(server) == 1


@pytest.mark.parametrize("path, protocol", [("/nowhere", "websocket"), ("/ws", "something-else")])
def test_what_is_no_session_is_refused_on_its_stream(serve_ws, path, protocol):
    with serve_ws({"max_connections": 1}) as server, H2(server.address) as peer:
        for stream in (1, 3, 5):
            assert WsStream(peer, stream, path, protocol=protocol).status >= 400
        opened(peer, 7)


def test_members_of_a_room_come_either_way(serve_ws):
    with serve_ws() as server, H2(server.address) as peer, Ws(server.address, "/ws/room/lobby") as one:
        other = opened(peer, path="/ws/room/lobby")
        for n in range(50):
            one.say(TEXT, b"%d" % n)
            assert one.hear() == (TEXT, b"%d" % n)
            if other.buffer or other.peer.next(0.05):
                break
        first, heard = other.hear()
        assert first == TEXT and heard.isdigit()
        other.say(TEXT, b"hello")
        while (heard := one.hear()[1]).isdigit():
            pass
        assert heard == b"hello"


# Rules.


RULES = {
    "unmasked": (frame(TEXT, b"x", masked=False), 1002),
    "reserved bit": (frame(0xc1, b"x"), 1002),
    "long ping": (frame(PING, bytes(126)), 1002),
    "no text": (frame(TEXT, b"\xff\xfe"), 1007),
    "large frame": (frame(BINARY, b"", length=MIB), 1009),
    "large message": (frame(0x02, bytes(12_000)) + frame(0x80, bytes(12_000)), 1009),
    "many fragments": (frame(0x01, b"") + frame(0x00, b"x") * 128, 1008),
}


@pytest.mark.parametrize("content, code", RULES.values(), ids=RULES)
def test_a_broken_rule_ends_the_session_and_not_the_connection(serve_ws, content, code):
    ws = {"max_message_size": "20KiB", "max_frame_size": "16KiB"}
    with serve_ws(ws) as server, server.expecting(), H2(server.address) as peer:
        other, session = opened(peer, 1), opened(peer, 3)
        began = session.send(content)
        assert session.heard_close() == code
        assert time.monotonic() - began < LATE
        session.say(CLOSE, code.to_bytes(2, "big"))
        assert session.ended(4)
        other.say(TEXT, b"still here")
        assert other.hear() == (TEXT, b"still here")
        assert eventually(lambda: sessions(server) == 1)
        leave(other)


# Time.


def test_a_session_that_answers_no_ping_ends_alone(serve_ws):
    ws = {"ping_interval": "1s", "pong_timeout": "1s"}
    with serve_ws(ws) as server, server.expecting(), H2(server.address) as peer:
        session = opened(peer)
        began = time.monotonic()
        assert session.hear() == (PING, session_ping(session))
        assert 1 - EARLY <= time.monotonic() - began <= 1 + LATE
        session.ended(3)
        assert session.over and 2 - EARLY <= time.monotonic() - began <= 2 + 2 * LATE
        assert eventually(lambda: sessions(server) == 0)
        assert peer.get(3).status == 200


def session_ping(session):
    """Whatever a Ping carries."""
    return session.peer.frames[-1].data[2:]


def test_a_quiet_session_keeps_its_connection(serve_ws):
    with serve_ws(http2={"keep_alive_timeout": "1s"}) as server, server.expecting(), H2(server.address) as peer:
        session = opened(peer)
        peer.wait(3)
        session.say(TEXT, b"hello")
        assert session.hear() == (TEXT, b"hello") and not peer.goaways
        leave(session)


def test_an_idle_session_is_told_and_its_connection_is_not(serve_ws):
    with serve_ws({"keep_alive_timeout": "1s"}) as server, server.expecting(), H2(server.address) as peer:
        session, began = opened(peer), time.monotonic()
        assert session.heard_close() == 1001
        assert 1 - EARLY <= time.monotonic() - began <= 1 + LATE
        session.say(CLOSE, GOODBYE)
        assert session.ended()
        assert peer.get(3).status == 200


def test_an_old_session_is_told_and_its_connection_is_not(serve_ws):
    with serve_ws({"max_age": "1s"}) as server, server.expecting(), H2(server.address) as peer:
        session = opened(peer)
        assert session.heard_close(2) == 1001
        # It does not answer.
        assert session.ended(3 + LATE)
        assert peer.get(3).status == 200


# Many.


def test_ninety_nine_sessions_and_requests_share_a_connection(serve_ws):
    with serve_ws() as server, server.expecting(), H2(server.address) as peer:
        streams = [opened(peer, 2 * n + 1) for n in range(99)]
        assert sessions(server) == 99
        for turn in range(5):
            for session in streams:
                session.say(TEXT, b"%d" % turn)
            for session in streams:
                assert session.hear() == (TEXT, b"%d" % turn)
            assert peer.get(201 + 2 * turn).status == 200
        assert not peer.goaways
        leave(*streams)


def test_a_session_that_takes_nothing_holds_up_no_other(serve_ws):
    with serve_ws() as server, H2(server.address, grows=False) as peer:
        stalled, other = opened(peer, 1), opened(peer, 3)
        before = resident_bytes(server.pid)
        for _ in range(40):
            # Its window is full after 64 KiB; the connection's is opened again.
            stalled.say(BINARY, bytes(10_000))
            peer.send(window_update(0, 10_004))
        for n in range(100):
            other.say(TEXT, b"%d" % n)
            assert other.hear() == (TEXT, b"%d" % n)
        assert resident_bytes(server.pid) - before < 2 * MIB


def test_each_session_on_a_stream_is_told_of_the_end_and_waited_for(serve_ws):
    with serve_ws(server={"drain_timeout": "8s"}) as server:
        peers = [H2(server.address) for _ in range(5)]
        streams = [opened(peer, 2 * n + 1) for peer in peers for n in range(20)]
        began = server.signal(signal.SIGTERM)
        for session in streams:
            assert session.heard_close(5) == 1001
            session.say(CLOSE, GOODBYE)
        assert server.exited(within=6) == 0
        assert time.monotonic() - began < 5
        for peer in peers:
            assert peer.ended(2).how == "fin"
            peer.close()


def test_streams_that_do_not_listen_hold_no_drain_up(serve_ws):
    with serve_ws(server={"drain_timeout": "20s"}) as server, H2(server.address) as peer:
        for n in range(20):
            opened(peer, 2 * n + 1)
        began = server.signal(signal.SIGTERM)
        assert server.exited(within=8) == 0
        assert time.monotonic() - began < 6

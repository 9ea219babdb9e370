"""Peers that abuse HTTP/2: each is ended early, for its own reason, and costs nobody else."""

import time

import pytest
from hyperframe.frame import RstStreamFrame

from harness import (
    H2, Code, Peer, Probe, Sampler, Setting, cpu_seconds, eventually, resident_bytes, warm,
)
from harness.h2 import (
    HEADERS, PREFACE, PRIORITY, WINDOW_UPDATE, continuation, data, headers, ping, priority, raw,
    rst_stream, serialized, settings, window_update,
)

LATE, EARLY = 0.5, 0.01
MIB = 1 << 20
QUIET = {"access": False}
BOTH = {"protocols": ["http", "http2"]}


@pytest.fixture
def serve_http2(serve):
    """A server that speaks both versions on one port; `http2` are the keys of that pool."""
    def start(http2=None, **more):
        pools = {"http2": http2 or {}, "http": more.pop("http", {})}
        return serve(listener=BOTH, pools=pools, log=QUIET, **more)
    return start


def assert_calmed(peer, kind):
    """The last word was ENHANCE_YOUR_CALM, and for what."""
    assert peer.goaways, f"no GOAWAY: {peer.story()}"
    assert peer.goaways[-1] == (Code.ENHANCE_YOUR_CALM, kind)


def assert_on_time(began, ended, limit):
    took = ended - began
    assert limit - EARLY <= took <= limit + LATE, f"after {took:.3f} s, the limit is {limit} s"


def open_silently(peer, path, count, first=1):
    """Opens that many streams in one piece; returns their numbers."""
    block = peer.block(peer.fields(path))
    streams = [first + 2 * n for n in range(count)]
    peer.send(*(headers(stream, block) for stream in streams))
    return streams


# The beginning: the preface, its settings, and heads that never end.


@pytest.mark.parametrize("said", [b"PRI", PREFACE[:14], PREFACE, PREFACE + b"\0\0\6\4\0"],
                         ids=["a word", "half a preface", "no SETTINGS", "half SETTINGS"])
def test_a_client_that_never_finishes_its_greeting_is_closed_at_connection_timeout(serve_http2, said):
    deadlines = {"connection_timeout": "1500ms", "headers_timeout": "20s"}
    with serve_http2(deadlines, http=deadlines) as server:
        with server.expecting(closed={"connection_timeout": 1}):
            with H2(server.address, greet=False, acks=False) as peer:
                peer.send(said)
                assert_on_time(peer.opened, peer.ended(5).at, 1.5)


def test_a_greeting_byte_by_byte_does_not_move_the_deadline(serve_http2):
    deadlines = {"connection_timeout": "1500ms", "headers_timeout": "20s"}
    with serve_http2(deadlines, http=deadlines) as server:
        with server.expecting(closed={"connection_timeout": 1}), Peer(server.address) as peer:
            closed = peer.drip(PREFACE, every=0.2, within=5)
            assert_on_time(peer.opened, closed.at, 1.5)


def test_a_client_that_never_acknowledges_our_settings_is_closed_after_five_seconds(serve_http2):
    with serve_http2() as server:
        with server.expecting(closed={"connection_timeout": 1}):
            with H2(server.address, acks=False) as peer:
                assert_on_time(peer.opened, peer.ended(8).at, 5)
                assert {code for code, _ in peer.goaways} == {Code.SETTINGS_TIMEOUT}


@pytest.mark.parametrize("kind", ["no end of the block", "half a frame"])
def test_a_head_that_never_ends_is_closed_at_headers_timeout(serve_http2, kind):
    with serve_http2({"headers_timeout": "1500ms"}) as server:
        with server.expecting(closed={"headers_timeout": 1}), H2(server.address) as peer:
            time.sleep(0.5)
            block = peer.block(peer.fields())
            began = peer.send(headers(1, block, end_headers=False) if kind == "no end of the block"
                              else raw(HEADERS, 0x5, 1, block[:5], length=len(block)))
            assert_on_time(began, peer.ended(5).at, 1.5)


def test_a_head_in_pieces_does_not_move_the_deadline(serve_http2):
    with serve_http2({"headers_timeout": "1500ms"}) as server:
        with server.expecting(closed={"headers_timeout": 1}), H2(server.address) as peer:
            block = peer.block(peer.fields())
            began = peer.send(headers(1, block[:5], end_headers=False))
            for at in range(5, 9):
                peer.wait(0.3)
                peer.send(continuation(1, block[at:at + 1], end_headers=False))
            assert_on_time(began, peer.ended(2).at, 1.5)


# Floods of frames that cost the sender nothing.

FLOODS = {
    "ping_flood": ping(b"flooding"),
    "ping_ack_flood": ping(b"flooding", ack=True),
    "settings_flood": settings({Setting.INITIAL_WINDOW_SIZE: 65535}),
    "priority_flood": priority(1),
    "window_update_flood": window_update(0, 1),
    "unknown_flood": raw(0xfa, payload=bytes(8)),
    "reset_flood": rst_stream(1),
}


@pytest.mark.heavy
@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_is_ended_within_a_second_and_costs_no_processor(serve_http2, kind):
    with serve_http2() as server:
        before = warm(server)
        with server.expecting(closed={"http2_abuse": 1}), Probe(server) as probe:
            with Sampler(lambda: resident_bytes(server.pid), every=0.01) as memory:
                with H2(server.address, pongs=False) as peer:
                    if kind == "reset_flood":
                        assert peer.get().status == 200
                    spent, began = cpu_seconds(server.pid), time.monotonic()
                    peer.flood([FLOODS[kind]] * 100, within=3)
                    assert peer.gone and peer.ended_at - began <= 1 + LATE, peer.story()
                    spent = cpu_seconds(server.pid) - spent
        assert_calmed(peer, kind)
        assert spent <= 0.3, f"{spent:.2f} s of processor time"
        assert max(memory.values) - before <= 4 * MIB
        assert probe.slow() < 0.25


@pytest.mark.heavy
def test_a_flood_of_empty_heads_is_ended(serve_http2):
    with serve_http2() as server:
        with server.ending("http2_abuse", "protocol_error"), H2(server.address) as peer:
            turns = peer.flood(lambda n: [raw(HEADERS, 0x5, 2 * n + 1)], within=3)
            assert peer.gone and turns <= 2000, peer.story()
            assert peer.goaways[-1][0] in (Code.ENHANCE_YOUR_CALM, Code.PROTOCOL_ERROR)


def test_a_flood_is_told_to_leave_before_it_is_thrown_out(serve_http2):
    with serve_http2() as server:
        with server.expecting(closed={"http2_abuse": 1}), H2(server.address) as peer:
            peer.request(1, "/slow?ms=30000")
            peer.flood([ping(b"flooding")] * 10, within=5, every=0.01)
            assert peer.gone
            codes = [code for code, _ in peer.goaways]
            assert codes[0] == Code.NO_ERROR and codes[-1] == Code.ENHANCE_YOUR_CALM, codes


@pytest.mark.heavy
def test_a_flood_of_pings_that_reads_nothing_costs_no_memory(serve_http2):
    with serve_http2({"stream_idle_timeout": "2s"}) as server:
        before = warm(server)
        with server.ending("http2_abuse", "stream_idle", "slow_reader", "ping_timeout", within=8):
            with Sampler(lambda: resident_bytes(server.pid), every=0.01) as memory:
                with H2(server.address, receive_buffer=4096) as peer:
                    block, until = serialized([ping()] * 1000), time.monotonic() + 3
                    peer.socket.settimeout(0.5)
                    try:
                        while time.monotonic() < until:
                            peer.socket.sendall(block)
                    except OSError:
                        pass  # it reads no more, as it should
                    assert eventually(lambda: server.active() == 0, 5, every=0.05)
        assert max(memory.values) - before <= 2 * MIB


# Streams that are opened and thrown away.


def test_a_thousand_resets_in_one_piece_are_ended_at_once(serve_http2):
    with serve_http2() as server:
        with server.expecting(closed={"http2_abuse": 1}), H2(server.address) as peer:
            block = peer.block(peer.fields("/slow?ms=1000"))
            pairs = [f for n in range(1000) for f in (headers(2 * n + 1, block), rst_stream(2 * n + 1))]
            began = peer.send(*pairs)
            assert peer.ended(3).at - began <= 0.2 + LATE
        assert peer.goaways[-1][0] == Code.ENHANCE_YOUR_CALM
        assert eventually(lambda: server.in_flight() == 0, 0.5)


@pytest.mark.heavy
def test_paced_resets_are_ended_by_the_hundred_and_fiftieth(serve_http2):
    with serve_http2() as server:
        with server.expecting(closed={"http2_abuse": 1}), Probe(server) as probe:
            with H2(server.address) as peer:
                # With a stream that stays, nobody can leave in peace after the warning.
                peer.request(1, "/slow?ms=30000")
                block, sent = peer.block(peer.fields("/slow?ms=1000")), 0
                while sent < 20_000 and not peer.gone:
                    stream = 2 * sent + 3
                    peer.send(headers(stream, block))
                    time.sleep(0.0002)
                    peer.send(rst_stream(stream))
                    sent += 1
                    peer.next(0.0002)
                peer.ended(3)
        assert peer.goaways[-1][0] == Code.ENHANCE_YOUR_CALM
        assert sent <= 150 + 10, f"{sent} resets, counted when the end was read"
        assert server.metrics().total("wharf_requests_total", protocol="http2") <= 250
        assert eventually(lambda: server.in_flight() == 0, 0.5)
        assert probe.slow() < 0.25


MAKE_YOU_RESET = {
    "a window update of 0": lambda stream, block: raw(WINDOW_UPDATE, stream=stream, payload=bytes(4)),
    "a window overflow": lambda stream, block: window_update(stream, (1 << 31) - 1),
    "a short PRIORITY": lambda stream, block: raw(PRIORITY, stream=stream, payload=bytes(4)),
    "DATA after the end": lambda stream, block: data(stream, b"x"),
    "HEADERS after the end": lambda stream, block: headers(stream, block),
    "a self-dependency": lambda stream, block: priority(stream, depends_on=stream),
}


@pytest.mark.heavy
@pytest.mark.parametrize("how", MAKE_YOU_RESET)
def test_streams_that_we_are_made_to_reset_are_ended(serve_http2, how):
    with serve_http2() as server:
        with server.ending("http2_abuse", "protocol_error"), Probe(server) as probe:
            with Sampler(server.in_flight, every=0.005) as running, H2(server.address) as peer:
                block = peer.block(peer.fields("/slow?ms=2000"))

                def turn(n):
                    return [headers(2 * n + 1, block), MAKE_YOU_RESET[how](2 * n + 1, block)]

                turns = peer.flood(turn, within=4, every=0.0005, most=4000)
                peer.ended(1)
        assert turns <= 256 + 50, f"{turns} streams, counted when the end was read"
        assert max(running.values) <= 100 + 1
        assert eventually(lambda: server.in_flight() == 0, 0.5)
        assert probe.slow() < 0.25


def test_five_thousand_streams_at_once_run_a_hundred_and_are_ended(serve_http2):
    with serve_http2() as server:
        with server.expecting(closed={"http2_abuse": 1}), H2(server.address) as peer:
            assert peer.settings[Setting.MAX_CONCURRENT_STREAMS] == 100
            with Sampler(server.in_flight, every=0.002) as running:
                block = peer.block(peer.fields("/slow?ms=2000"))
                peer.flood(lambda n: [headers(2 * n + 1, block)], within=3, most=5000)
                peer.ended(3)
        assert max(running.values) <= 100
        assert set(peer.resets.values()) <= {Code.REFUSED_STREAM}
        assert peer.goaways[-1] == (Code.ENHANCE_YOUR_CALM, "refused_streams")
        assert eventually(lambda: server.in_flight() == 0, 0.5)


def test_a_few_streams_too_many_are_refused_and_the_rest_served(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        streams = open_silently(peer, "/slow?ms=500", 120)
        assert all(peer.response(stream).status == 200 for stream in streams[:100])
        assert peer.resets == dict.fromkeys(streams[100:], Code.REFUSED_STREAM)
        assert peer.get(stream=501).status == 200


# Header blocks.


@pytest.mark.parametrize("kind", ["empty", "one byte"])
def test_a_flood_of_continuations_is_ended(serve_http2, kind):
    with serve_http2() as server:
        before = warm(server)
        with Sampler(lambda: resident_bytes(server.pid), every=0.005) as memory:
            with server.expecting(closed={"http2_abuse": 1}), H2(server.address) as peer:
                peer.request(end_headers=False)
                piece = b"" if kind == "empty" else b"\x90"  # accept-encoding: gzip, deflate
                count = 1000 if kind == "empty" else 10_000
                began = peer.send(*([continuation(1, piece, end_headers=False)] * count))
                assert peer.ended(3).at - began <= 1 + LATE
        assert peer.goaways[-1][0] == Code.ENHANCE_YOUR_CALM
        assert max(memory.values) - before <= 2 * MIB


def test_a_small_block_that_decompresses_to_much_is_ended(serve_http2):
    with serve_http2() as server:
        before = warm(server)
        with Sampler(lambda: resident_bytes(server.pid), every=0.005) as memory:
            with server.expecting(closed={"http2_abuse": 1}), H2(server.address) as peer:
                indexed = peer.encoder.encode([("x-bomb", "x" * 3900)])
                block = peer.block(peer.fields()) + indexed + b"\xbe" * 12_000
                peer.send(headers(1, block))
                peer.ended(3)
        assert peer.goaways[-1][0] == Code.ENHANCE_YOUR_CALM
        assert max(memory.values) - before <= 4 * MIB


def test_a_header_list_above_the_limit_is_431_and_the_connection_stays(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        block = peer.block(peer.fields(more=[(f"x-{n}", "x" * 2000) for n in range(10)]))
        peer.send(headers(1, block[:16000], end_headers=False), continuation(1, block[16000:]))
        assert peer.response().status == 431
        assert peer.get(stream=3).status == 200


# Windows and sockets that nobody opens.


def test_streams_that_nobody_reads_are_reset_in_time(serve_http2):
    pool = {"stream_idle_timeout": "2s", "keep_alive_timeout": "2s", "min_data_rate": "off"}
    with serve_http2(pool) as server:
        before = warm(server)
        with server.ending("stream_idle", "idle", within=4):
            with Sampler(lambda: resident_bytes(server.pid), every=0.01) as memory:
                with H2(server.address, values={Setting.INITIAL_WINDOW_SIZE: 0}) as peer:
                    began = time.monotonic()
                    streams = open_silently(peer, "/bytes?n=1000000", 100)
                    for _ in range(30):
                        peer.send(ping())
                        if peer.ended(0.1, must=False) or len(peer.resets) == 100:
                            break
                    took = time.monotonic() - began
                    assert 2 - EARLY <= took <= 2 + LATE, f"{took:.2f} s, {len(peer.resets)} reset"
                    assert set(peer.resets) == set(streams) or peer.gone
                    assert set(peer.resets.values()) <= {Code.CANCEL, Code.ENHANCE_YOUR_CALM}
                    assert eventually(lambda: server.in_flight() == 0, 0.5)
                    peer.ended(4)
        assert max(memory.values) - before <= 100 * (32 << 10)


def test_a_stalled_stream_is_reset_alone_while_others_go_on(serve_http2):
    pool = {"stream_idle_timeout": "2s", "min_data_rate": "off"}
    with serve_http2(pool) as server, server.expecting():
        with H2(server.address, values={Setting.INITIAL_WINDOW_SIZE: 10}) as peer:
            peer.grows = False
            peer.request(1, "/bytes?n=1000")
            began = peer.request(3, "/slow?ms=100&chunks=40")
            while time.monotonic() - began < 3.0:
                peer.send(window_update(3, 100))
                peer.next(0.05)
            reset = next(f for f in peer.frames if isinstance(f, RstStreamFrame))
            assert reset.stream_id == 1 and peer.resets.keys() == {1}
            assert_on_time(began, reset.at, 2)
            assert peer.response(3).status == 200
            assert not peer.goaways


def test_an_upload_that_stops_is_reset_alone_while_others_go_on(serve_http2):
    pool = {"stream_idle_timeout": "2s", "min_data_rate": "off"}
    with serve_http2(pool) as server, server.expecting(), H2(server.address) as peer:
        began = peer.request(1, "/count", method="POST")
        peer.send(data(1, b"and then nothing"))
        peer.request(3, "/slow?ms=3000")
        found = peer.until(lambda f: f.stream_id == 1, 4)
        assert isinstance(found, RstStreamFrame) or found.fields[":status"] == "408", str(found)
        assert_on_time(began, found.at, 2)
        assert peer.response(3).status == 200


@pytest.mark.heavy
def test_a_socket_that_is_not_read_ends_the_connection_and_costs_little(serve_http2):
    pool = {"stream_idle_timeout": "2s", "min_data_rate": "off"}
    with serve_http2(pool) as server:
        before = warm(server)
        wide = {Setting.INITIAL_WINDOW_SIZE: (1 << 31) - 1}
        with server.expecting(closed={"stream_idle": 1}, within=8), Probe(server) as probe:
            with Sampler(lambda: resident_bytes(server.pid), every=0.01) as memory:
                with H2(server.address, receive_buffer=4096, values=wide) as peer:
                    peer.send(window_update(0, (1 << 31) - 1 - 65535))
                    began = time.monotonic()
                    open_silently(peer, "/bytes?n=67108864", 100)
                    assert eventually(lambda: server.in_flight() == 100, 1)
                    assert eventually(lambda: server.active() == 1, 6, every=0.02)
                    took = time.monotonic() - began
                    assert 2 - EARLY <= took <= 3 + LATE, f"after {took:.2f} s"
        assert max(memory.values) - before <= 8 * MIB
        assert probe.slow() < 0.25


def test_a_reader_of_ten_bytes_a_second_is_too_slow(serve_http2):
    with serve_http2() as server:
        with server.ending("slow_reader", "client_closed", "completed"):
            with H2(server.address, values={Setting.INITIAL_WINDOW_SIZE: 1}) as peer:
                peer.grows = False
                began = peer.request(1, "/bytes?n=100000")
                while time.monotonic() - began < 8 and not peer.resets and not peer.gone:
                    peer.send(window_update(1, 1))
                    peer.wait(0.1)
                assert peer.resets or peer.gone, "it is still fed"
                resets = [f.at for f in peer.frames if isinstance(f, RstStreamFrame)]
                assert_on_time(began, resets[0] if resets else peer.ended_at, 5)


@pytest.mark.parametrize("kind", ["empty", "one byte"])
def test_data_of_next_to_nothing_is_ended(serve_http2, kind):
    with serve_http2() as server:
        with server.expecting(closed={"http2_abuse": 1}), H2(server.address) as peer:
            # Its handler waits for the body: the stream stays open.
            peer.request(1, "/count", method="POST")
            if kind == "empty":
                peer.flood([data(1)] * 10, within=3, most=50)
            else:
                peer.flood([data(1, b"x")] * 100, within=5, most=1000)
            peer.ended(2)
        assert peer.goaways[-1][0] == Code.ENHANCE_YOUR_CALM, peer.story()


# And what is wrong in itself.


def test_a_broken_frame_is_a_protocol_error(serve_http2):
    with serve_http2() as server:
        with server.expecting(closed={"protocol_error": 1}), H2(server.address) as peer:
            peer.send(data(1, b"on an idle stream"))
            peer.ended(2)
        assert peer.goaways[-1][0] in (Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)


def test_a_panic_resets_its_stream_or_is_500_and_nothing_else(serve_http2):
    with serve_http2(may_panic=True) as server, server.expecting(), H2(server.address) as peer:
        peer.request(1, "/slow?ms=500")
        peer.request(3, "/panic")
        found = peer.until(lambda f: f.stream_id == 3, 2)
        if isinstance(found, RstStreamFrame):
            assert found.error_code == Code.INTERNAL_ERROR
        else:
            assert found.fields[":status"] == "500"
        assert peer.response(1).status == 200
        assert peer.get(5).status == 200


def test_a_client_that_resets_a_stream_cancels_its_handler(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        peer.request(1, "/slow?ms=30000")
        assert eventually(lambda: server.in_flight() == 1)
        peer.send(rst_stream(1))
        assert eventually(lambda: server.in_flight() == 0, 0.2)
        assert peer.get(3).status == 200


def test_a_client_that_vanishes_cancels_all_its_handlers(serve_http2):
    with serve_http2() as server:
        with server.ending("peer_reset"):
            peer = H2(server.address)
            open_silently(peer, "/slow?ms=30000", 50)
            assert eventually(lambda: server.in_flight() == 50)
            peer.reset()
            assert eventually(lambda: server.in_flight() == 0, 0.3)

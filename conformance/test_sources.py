"""Limits per source, and who counts as the source behind a proxy."""

import struct
import time

import pytest

from harness import Peer, connect_many, eventually, get

HONEST, FLOOD = "127.0.0.2", "127.0.0.66"


def hold(server, count, source, request=True):
    peers = [Peer(server.address, source=source) for _ in range(count)]
    if request:
        assert all(peer.request().status == 200 for peer in peers)
    return peers


def release(peers):
    for peer in peers:
        peer.close()


@pytest.mark.parametrize("part", ["limits", "listener", "pool"])
def test_a_source_holds_as_many_connections_as_one_may(serve, part):
    with serve(**{part: {"max_connections_per_ip": 5}}) as server:
        peers = hold(server, 5, FLOOD)
        with server.expecting(rejected={"ip_limit": 20}):
            for _ in range(20):
                with Peer(server.address, source=FLOOD) as peer:
                    ended = peer.closed(1.5)
                    assert ended.received == b"" or ended.received.startswith(b"HTTP/1.1 503")
        with Peer(server.address, source=HONEST) as other:
            assert other.request().status == 200
        peers.pop().close()
        eventually(lambda: server.active() == 4)
        with Peer(server.address, source=FLOOD) as again:
            assert again.request().status == 200
        release(peers)


def test_silent_connections_of_one_source_leave_the_others_alone(serve):
    pool = {"max_connections": 200, "max_connections_per_ip": 50}
    with serve(pool) as server:
        with connect_many(server.address, 300, sources=[FLOOD]) as crowd:
            crowd.serve(2.0, until=lambda: len(crowd.ended) == 250)
            assert len(crowd.ended) == 250
            # Those that were refused have a moment to read why.
            assert eventually(lambda: server.active() == server.sockets() == 50)
            for _ in range(20):
                with Peer(server.address, source=HONEST) as probe:
                    assert probe.request().status == 200


@pytest.mark.parametrize("talks", [True, False], ids=["that sends requests", "that is silent"])
def test_a_source_over_its_cap_costs_an_honest_idle_client_nothing(serve, talks):
    pool = {"max_connections": 20, "max_connections_per_ip": 10, "when_full": "reclaim"}
    with serve(pool) as server:
        honest = hold(server, 10, HONEST)
        flood = hold(server, 10, FLOOD, request=talks)
        # Idle long enough to be reclaimed for somebody who may come in.
        time.sleep(1.3)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            with connect_many(server.address, 20, get(), sources=[FLOOD]) as crowd:
                crowd.serve(0.3, until=lambda: len(crowd.ended) == 20)
        assert all(peer.is_open() for peer in honest)
        assert all(peer.request().status == 200 for peer in honest)
        reasons = server.metrics().by("wharf_connections_rejected_total", "reason")
        assert set(reasons) == {"ip_limit"}
        release(honest + flood)


def test_without_a_cap_a_flood_pushes_out_itself_and_not_the_honest(serve):
    pool = {"max_connections": 50, "when_full": "reclaim"}
    with serve(pool, log={"access": False}) as server:
        honest = hold(server, 5, HONEST)
        time.sleep(1.2)
        until = time.monotonic() + 4
        while time.monotonic() < until:
            with connect_many(server.address, 100, get(), sources=[FLOOD]) as crowd:
                crowd.serve(1.5)
            assert all(peer.is_open() for peer in honest)
        assert all(peer.request().status == 200 for peer in honest)
        release(honest)


def test_an_idle_connection_is_reclaimed_for_a_newcomer(serve):
    with serve({"max_connections": 3, "when_full": "reclaim"}) as server:
        peers = hold(server, 3, FLOOD)
        time.sleep(1.3)
        with server.expecting(closed={"reclaimed": 1}), Peer(server.address, source=HONEST) as new:
            assert new.request().status == 200
            ended = [peer for peer in peers if not peer.is_open()]
            assert ended == [peers[0]], "not the one that was idle longest"
            # The place of the reclaimed one is the newcomer's, so the count is the same again
            # only when both have left and somebody has come back.
            new.close()
            assert eventually(lambda: server.active() == 2)
            back = Peer(server.address, source=FLOOD)
            assert back.request().status == 200
        release(peers + [back])


def test_a_silent_connection_goes_before_an_idle_one(serve):
    with serve({"max_connections": 3, "when_full": "reclaim"}) as server:
        idle = hold(server, 2, FLOOD)
        silent = Peer(server.address, source=FLOOD)
        time.sleep(1.3)
        with Peer(server.address, source=HONEST) as new:
            assert new.request().status == 200
            assert silent.closed(1).how == "fin"
        assert all(peer.request().status == 200 for peer in idle)
        release(idle + [silent])


def test_a_busy_connection_is_never_reclaimed(serve):
    with serve({"max_connections": 2, "when_full": "reclaim"}) as server:
        busy = [Peer(server.address, source=FLOOD) for _ in range(2)]
        for peer in busy:
            peer.send(get("/slow?ms=3000"))
        time.sleep(1.5)
        with server.expecting(rejected={"pool_limit": 1}), Peer(server.address) as new:
            assert new.response().status == 503
        assert all(peer.response().status == 200 for peer in busy)
        release(busy)


def test_exempt_ranges_have_no_cap(serve):
    pool = {"max_connections_per_ip": 2, "exempt": ["127.0.0.2/32"]}
    with serve(pool) as server:
        release(hold(server, 10, HONEST))
        peers = hold(server, 2, FLOOD)
        with server.expecting(rejected={"ip_limit": 1}), Peer(server.address, source=FLOOD) as peer:
            peer.closed(1.5)
        release(peers)


def test_accept_rate_lets_in_so_many_a_second(serve):
    with serve({"accept_rate": "20/s", "when_full": "refuse"}) as server:
        with connect_many(server.address, 200, get()) as crowd:
            crowd.serve(1.0)
            served = len(crowd.answered(200))
            assert 20 <= served <= 45
            reasons = server.metrics().by("wharf_connections_rejected_total", "reason")
            assert reasons == {"rate": 200 - served}


# The PROXY protocol.

PROXIED = {"proxy_protocol": {"trusted": ["127.0.0.1/32"]}}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_1(source, port=4321):
    return f"PROXY TCP4 {source} 192.0.2.1 {port} 80\r\n".encode()


def version_2(source, port=4321, extra=b""):
    address = bytes(map(int, source.split("."))) + bytes([192, 0, 2, 1])
    rest = address + struct.pack("!HH", port, 80) + extra
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(rest)) + rest


@pytest.mark.parametrize("header", [version_1, version_2])
def test_the_announced_address_is_the_peer(serve, header):
    with serve(listener=PROXIED) as server, Peer(server.address) as peer:
        peer.send(header("203.0.113.7") + get())
        assert peer.response().status == 200
        connections = server.json("/connections")["connections"]
        assert [entry["peer"] for entry in connections] == ["203.0.113.7:4321"]
        assert eventually(server.requests)[0]["peer"] == "203.0.113.7:4321"


@pytest.mark.parametrize("header", [version_1, version_2])
def test_the_announced_address_is_what_the_cap_counts(serve, header):
    with serve({"max_connections_per_ip": 3}, listener=PROXIED) as server:
        peers = []
        for _ in range(3):
            peers.append(Peer(server.address))
            peers[-1].send(header("203.0.113.7") + get())
            assert peers[-1].response().status == 200
        with server.expecting(rejected={"ip_limit": 1}, closed={"proxy_protocol": 1}, line=False):
            with Peer(server.address) as fourth:
                fourth.send(header("203.0.113.7") + get())
                ended = fourth.closed(2)
                assert b"200 OK" not in ended.received
        # The proxy's own address has no cap, and other clients behind it are let in.
        for n in range(10):
            peers.append(Peer(server.address))
            peers[-1].send(header(f"203.0.113.{n + 10}") + get())
            assert peers[-1].response().status == 200
        release(peers)


def test_a_client_cannot_announce_itself_in_a_header(serve):
    with serve({"max_connections_per_ip": 2}) as server:
        peers = [Peer(server.address, source=FLOOD) for _ in range(2)]
        for n, peer in enumerate(peers):
            assert peer.request(headers=f"X-Forwarded-For: 203.0.113.{n}\r\n").status == 200
        with server.expecting(rejected={"ip_limit": 1}), Peer(server.address, source=FLOOD) as peer:
            peer.closed(1.5)
        release(peers)


@pytest.mark.parametrize("first", [version_1("203.0.113.7") + get(), get(), b""],
                         ids=["with a header", "with a request", "silent"])
def test_a_peer_that_is_no_proxy_is_turned_away_at_once(serve, first):
    with serve(listener=PROXIED) as server:
        with server.expecting(rejected={"untrusted_proxy": 1}):
            began = time.monotonic()
            try:
                with Peer(server.address, source="127.0.0.9") as peer:
                    peer.send(first)
                    assert b"200 OK" not in peer.closed(2).received
            except ConnectionError:
                pass  # the reset was there before the request, or before the connect returned
            assert time.monotonic() - began <= 0.1 + 0.2
        assert not server.requests()


BROKEN = {
    "none": get(),
    "a line of 108 bytes": b"PROXY TCP4 " + b"1" * 97 + b"\r\n",
    "a line without an end": b"PROXY TCP4 " + b"1" * 500,
    "an address that is none": b"PROXY TCP4 203.0.113.777 192.0.2.1 1 80\r\n",
    "a port that is none": b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 80\r\n",
    "a family that is none": b"PROXY TCP5 203.0.113.7 192.0.2.1 1 80\r\n",
    "lower case": b"proxy TCP4 203.0.113.7 192.0.2.1 1 80\r\n",
    "a line that ends in LF": b"PROXY TCP4 203.0.113.7 192.0.2.1 1 80\n" + get(),
    "version 3": SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
    "a command that is none": SIGNATURE + b"\x2f\x11\x00\x0c" + bytes(12),
    "a length of 65535": SIGNATURE + b"\x21\x11\xff\xff" + bytes(3000),
    "a length too short for the addresses": SIGNATURE + b"\x21\x11\x00\x04" + bytes(12),
    "fields that do not fill it": version_2("203.0.113.7", extra=b"\x04\x00\x10x"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_header_ends_the_connection(serve, name):
    with serve(listener=PROXIED) as server:
        with server.expecting(closed={"proxy_protocol": 1}), Peer(server.address) as peer:
            peer.send(BROKEN[name])
            closed = peer.closed(2)
            assert closed.at - peer.opened <= 1.0
            assert b"200 OK" not in closed.received
        assert not server.requests()


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 203", SIGNATURE])
def test_a_late_header_ends_the_connection_at_connection_timeout(serve, sent):
    with serve({"connection_timeout": "1s"}, listener=PROXIED) as server:
        with server.expecting(closed={"proxy_protocol": 1}), Peer(server.address) as peer:
            peer.send(sent)
            closed = peer.closed(3)
            assert 0.99 <= closed.at - peer.opened <= 1.5


def test_a_header_byte_by_byte_is_as_good(serve):
    for header in (version_1("203.0.113.7"), version_2("203.0.113.7", extra=b"\x04\x00\x01x")):
        with serve(listener=PROXIED) as server, Peer(server.address) as peer:
            for byte in header + get():
                peer.send(bytes([byte]))
            assert peer.response().status == 200


def test_the_proxys_own_checks_are_served_as_its_own(serve):
    local = SIGNATURE + b"\x20\x00\x00\x00"
    for header in (local, b"PROXY UNKNOWN\r\n"):
        with serve(listener=PROXIED) as server, Peer(server.address) as peer:
            peer.send(header + get())
            assert peer.response().status == 200
            entry = server.json("/connections")["connections"][0]
            assert entry["peer"].startswith("127.0.0.1:")

"""Limits on a dry run: they let everybody go on, and say whom they would have stopped."""

import time

import pytest

from harness import H2, Events, Peer, Ws, eventually, get

ADMISSION = ["max_connections", "max_connections_per_ip", "accept_rate"]


def counted(server, **labels):
    """What `wharf_dry_run_total` has, by reason."""
    found = {}
    for name, had, value in server.metrics().samples:
        if name == "wharf_dry_run_total" and labels.items() <= had.items():
            assert set(had) == {"listener", "protocol", "reason"}
            found[had["reason"]] = found.get(had["reason"], 0) + value
    return found


def told(events, kind):
    sums = {}
    for event in events.of(kind):
        sums[event["reason"]] = sums.get(event["reason"], 0) + event["connections"]
    return sums


def closed(server):
    return server.metrics().by("wharf_connections_closed_total", "reason")


def test_who_would_be_turned_away_is_served_counted_and_told(serve):
    pool = {"max_connections": 3, "max_connections_per_ip": 4, "dry_run": ADMISSION}
    with serve(pool, listener={"max_connections": 5, "dry_run": ["max_connections"]},
               limits={"accept_rate": 100, "dry_run": ["accept_rate"]}) as server:
        with Events(server.admin) as events:
            peers = [Peer(server.address) for _ in range(6)]
            assert all(peer.request().status == 200 for peer in peers)
            expected = {"pool_limit": 3, "ip_limit": 2, "listener_limit": 1}
            assert counted(server, listener="web", protocol="http") == expected
            assert eventually(lambda: told(events, "would_reject") == expected, 2.5)
            shown = server.json("/pools/web/http")
            assert {r: n for r, n in shown["metrics"]["dry_run_by_reason"].items() if n} == expected
            # What does not hold fills nothing and is no reason to be unwell.
            assert shown["health"]["max_connections"] != 3
            assert shown["health"]["rejected_connections"] == 0
            assert shown["config"]["dry_run"] == ADMISSION
            line = "a limit on a dry run would have acted"
            assert eventually(lambda: [it for it in server.lines() if it.get("message") == line])
            for peer in peers:
                peer.close()


def test_events_of_a_flood_are_one_a_second_for_each_reason(serve):
    with serve({"accept_rate": 1, "dry_run": ["accept_rate"]}) as server:
        with Events(server.admin) as events:
            began = time.monotonic()
            for _ in range(300):
                with Peer(server.address) as peer:
                    assert peer.request().status == 200
            took = time.monotonic() - began
            count = counted(server)["rate"]
            assert count >= 300 - 2 - took
            assert eventually(lambda: told(events, "would_reject").get("rate") == count, 2.5)
            assert len(events.of("would_reject")) <= took + 3


def test_the_limit_holds_once_its_dry_run_is_taken_back(serve):
    with serve({"max_connections": 1, "when_full": "refuse", "dry_run": ["max_connections"]}) as server:
        peers = [Peer(server.address) for _ in range(2)]
        assert all(peer.request().status == 200 for peer in peers)
        assert server.write("/pools/web/http", "PATCH", {"dry_run": []})[0] == 200
        with Peer(server.address) as refused:
            assert refused.response().status == 503
        # Who is there stays, and a reload brings the dry run back.
        assert all(peer.request().status == 200 for peer in peers)
        assert server.write("/reload", "POST")[0] == 200
        with Peer(server.address) as third:
            assert third.request().status == 200
        for peer in peers:
            peer.close()


def test_a_limit_that_is_no_limit_of_the_section_is_refused_with_those_that_are(serve):
    with serve() as server:
        status, _, body = server.write("/pools/web/http", "PATCH", {"dry_run": ["max_headers"]})
        assert status == 422 and b"keep_alive_timeout" in body


@pytest.mark.parametrize("protocols", [["http"], ["http", "http2"]])
def test_deadlines_pass_and_are_counted_once_for_each_connection(serve, protocols):
    pool = {"connection_timeout": "600ms", "headers_timeout": "500ms", "request_timeout": "400ms",
            "keep_alive_timeout": "500ms", "stream_idle_timeout": "500ms", "max_age": "700ms",
            "min_data_rate": "off", "max_requests": 2}
    limits = ["connection_timeout", "headers_timeout", "request_timeout", "keep_alive_timeout",
              "stream_idle_timeout", "max_age", "max_requests"]
    with serve(pool | {"dry_run": limits}, listener={"protocols": protocols}) as server:
        with Events(server.admin) as events:
            silent, slow = Peer(server.address), Peer(server.address)
            idle = Peer(server.address, receive_buffer=65536)
            began = time.monotonic()
            slow.send("GET /hello HTTP/1.1\r\nHos")
            # Longer than the handler may take, than a reader may pause, than one may be idle.
            assert idle.request("/slow?ms=900").status == 200
            idle.send(get("/bytes?n=8000000"))
            time.sleep(1.2)
            assert len(idle.response().body) == 8_000_000
            for _ in range(3):
                time.sleep(0.9)
                assert not idle.request().says_close
            slow.send("t: a\r\n\r\n")
            assert slow.response().status == 200
            assert silent.request().status == 200
            assert time.monotonic() - began < 30
            found = counted(server)
            # The silent one is late for its first request, and so is the slow one.
            assert found["connection_timeout"] >= 2 and found["idle"] >= 1, found
            assert (found["request_timeout"], found["stream_idle"], found["max_requests"]) == (1, 1, 1)
            assert found["max_age"] == 3, found
            # Those that have just been answered may be idle for too long meanwhile.
            assert eventually(lambda: told(events, "would_close") == counted(server), 2.5)
            for peer in (silent, slow, idle):
                peer.close()
            assert eventually(lambda: server.active() == 0)
            assert set(closed(server)) == {"client_closed"}, closed(server)


def test_the_other_deadlines_hold_meanwhile(serve):
    pool = {"keep_alive_timeout": "500ms", "headers_timeout": "500ms", "dry_run": ["headers_timeout"]}
    with serve(pool) as server, server.expecting(closed={"idle": 1}, within=4.0):
        with Peer(server.address) as peer:
            assert peer.request().status == 200
            peer.send("GET /hello HTTP/1.1\r\nHos")
            time.sleep(1.2)
            assert peer.is_open()
            peer.send("t: a\r\n\r\n")
            assert peer.response().status == 200
            assert peer.closed(2.0).how == "fin"
        assert counted(server) == {"headers_timeout": 1}


def test_http2_streams_and_sessions_are_let_on_too(serve):
    http2 = {"request_timeout": "400ms", "keep_alive_timeout": "500ms",
             "dry_run": ["request_timeout", "keep_alive_timeout"]}
    websocket = {"keep_alive_timeout": "500ms", "dry_run": ["keep_alive_timeout"]}
    with serve(listener={"protocols": ["http", "http2", "websocket"]},
               pools={"http2": http2, "websocket": websocket}) as server:
        with H2(server.address) as client, Ws(server.address) as session:
            assert client.get(1, "/slow?ms=900").status == 200
            time.sleep(1.0)
            assert client.get(3).status == 200
            session.say(0x81, b"still here")
            assert session.hear() == (0x81, b"still here")
            assert counted(server, protocol="http2") == {"request_timeout": 1, "idle": 1}
            assert counted(server, protocol="websocket") == {"idle": 1}


def test_without_a_dry_run_there_is_nothing_of_it(serve):
    with serve({"keep_alive_timeout": "300ms"}) as server:
        with Peer(server.address) as peer:
            peer.send(get())
            assert peer.response().status == 200
            assert peer.closed(2.0).how == "fin"
        assert counted(server) == {}

"""Guaranteed places: a crowd in one pool leaves those of the others free, and the limit holds."""

import subprocess

import pytest

from harness import H2, Peer, Ws, binary, eventually, free_port

LIMIT = 10
FULL = {"when_full": "refuse"}


def crowd(server, most):
    """As many as are let in, up to `most`; each has been served."""
    peers = []
    for _ in range(most):
        peer = Peer(server.address)
        if peer.request().status != 200:
            peer.close()
            break
        peers.append(peer)
    return peers


def leave(peers):
    for peer in peers:
        peer.close()


def kept(server):
    shown = server.json("/health")["kept_connections"]
    assert server.metrics().total("wharf_connections_kept") == shown
    return shown


def test_what_one_listener_is_guaranteed_another_does_not_fill(serve):
    port = free_port()
    more = f"""
[[listener]]
name = "own"
address = "127.0.0.1:{port}"
protocols = ["http"]
[listener.pools.http]
guaranteed_connections = 3
when_full = "refuse"
"""
    with serve(FULL, limits={"max_connections": LIMIT}, more=more) as server:
        assert kept(server) == 3
        others = crowd(server, LIMIT)
        assert len(others) == LIMIT - 3
        rejected = server.json("/pools/web/http")["metrics"]["rejected_by_reason"]
        assert {reason: n for reason, n in rejected.items() if n} == {"process_limit": 1}
        assert server.json("/pools/web/http")["health"]["utilization_ratio"] == 1.0
        own = [Peer(("127.0.0.1", port)) for _ in range(3)]
        assert all(peer.request().status == 200 for peer in own)
        assert kept(server) == 0 and server.json("/health")["active_connections"] == LIMIT
        with Peer(("127.0.0.1", port)) as fourth:
            assert fourth.response().status == 503
        leave(own)
        assert eventually(lambda: kept(server) == 3)
        leave(others)


@pytest.mark.parametrize("protocols", [["http", "websocket"], ["http", "http2", "websocket"]])
def test_sessions_begin_on_places_that_are_kept_for_them(serve, protocols):
    with serve(FULL, listener={"protocols": protocols}, limits={"max_connections": LIMIT},
               pools={"websocket": {"guaranteed_connections": 3}}) as server:
        plain = crowd(server, LIMIT - 3)
        assert len(plain) == LIMIT - 3
        # Who only asks is answered, and does not stay where a session may come.
        for _ in range(4):
            # Who has left gives its place back a moment later.
            assert eventually(lambda: kept(server) == 3)
            with Peer(server.address) as guest:
                answer = guest.request()
                assert answer.status == 200 and answer.says_close
                assert guest.closed(2.0).how == "fin"
        assert eventually(lambda: kept(server) == 3)
        sessions = [Ws(server.address) for _ in range(3)]
        assert kept(server) == 0 and server.json("/health")["active_connections"] == LIMIT
        with Peer(server.address) as late:
            assert late.response().status == 503
        assert not any(peer.request().says_close for peer in plain), "they were there before"
        for session in sessions:
            session.close()
        leave(plain)


def test_an_http2_client_on_a_kept_place_is_answered_and_told_goaway(serve):
    with serve(FULL, listener={"protocols": ["http", "http2", "grpc"]}, limits={"max_connections": 3},
               pools={"grpc": {"guaranteed_connections": 1}}) as server:
        plain = crowd(server, 2)
        assert len(plain) == 2
        with H2(server.address) as guest:
            assert guest.get(1).status == 200
            guest.ended(2.0)
            assert guest.goaways and guest.goaways[-1][0] == 0
        # The guest's place is free once its connection is gone, not when it is told to go.
        assert eventually(lambda: server.active() == len(plain))
        assert kept(server) == 1
        with H2(server.address) as caller:
            caller.request(1, "/wharf.demo.v1.Echo/Unary", "POST", [("content-type", "application/grpc")])
            assert eventually(lambda: server.json("/pools/web/grpc")["health"]["active_connections"] == 1)
            assert kept(server) == 0 and not caller.goaways
        leave(plain)


def test_more_than_there_is_cannot_be_guaranteed(serve, tmp_path):
    with serve(FULL, listener={"protocols": ["http", "websocket"]}, limits={"max_connections": LIMIT},
               pools={"websocket": {"guaranteed_connections": 6}}) as server:
        status, _, body = server.write("/pools/web/http", "PATCH", {"guaranteed_connections": 5})
        assert status == 422 and b"at most 4" in body
        assert server.write("/pools/web/http", "PATCH", {"guaranteed_connections": 4})[0] == 200
        assert kept(server) == LIMIT
    file = tmp_path / "too-much.toml"
    file.write_text("""
[limits]
max_connections = 10
[pools.http]
guaranteed_connections = 6
[[listener]]
name = "a"
address = "127.0.0.1:0"
protocols = ["http"]
[[listener]]
name = "b"
address = "127.0.0.1:1"
protocols = ["http"]
""")
    checked = subprocess.run([binary(), "check", file], capture_output=True, text=True, timeout=10)
    assert checked.returncode == 1
    assert ":5:" in checked.stderr + checked.stdout, checked
    assert "12 connections are guaranteed" in checked.stderr + checked.stdout


def test_on_a_dry_run_nobody_is_turned_away(serve):
    pools = {"websocket": {"guaranteed_connections": 3, "dry_run": ["guaranteed_connections"]}}
    with serve(FULL, listener={"protocols": ["http", "websocket"]}, limits={"max_connections": LIMIT},
               pools=pools) as server:
        assert kept(server) == 0
        peers = crowd(server, LIMIT)
        assert len(peers) == LIMIT
        counted = server.json("/pools/web/http")["metrics"]["dry_run_by_reason"]
        assert counted["process_limit"] == 3
        leave(peers)

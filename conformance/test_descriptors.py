"""Descriptors run out: the server neither spins nor floods the log, and comes back by itself."""

import time

import pytest

from harness import Peer, connect_many, cpu_seconds, eventually, get

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("policy", ["refuse", "reclaim", "wait"])
def test_without_descriptors_it_stays_calm_and_comes_back(serve, policy):
    pool = {"when_full": policy, "queue_timeout": "60s", "connection_timeout": "60s"}
    limits = {"max_connections": 1000}
    with serve(pool, limits=limits, descriptors=128, log={"access": False}) as server:
        crowd = connect_many(server.address, 500)
        try:
            crowd.serve(1.0)
            lines, used, began = len(server.lines()), cpu_seconds(server.pid), time.monotonic()
            slowest = 0.0
            while time.monotonic() - began < 5.0:
                asked = time.monotonic()
                for path in ("/live", "/health", "/pools", "/metrics"):
                    assert server.ask(path)[0] == 200
                slowest = max(slowest, (time.monotonic() - asked) / 4)
                crowd.serve(0.5)
            took = time.monotonic() - began
            busy = (cpu_seconds(server.pid) - used) / took
            assert busy < 0.05, f"{busy:.1%} of a processor"
            assert (len(server.lines()) - lines) / took < 10
            assert slowest < 0.100, f"the admin API took {slowest:.3f} s"
        finally:
            crowd.__exit__()
        released = time.monotonic()

        def serves():
            with Peer(server.address, timeout=1.5) as peer:
                return peer.request().status == 200

        def back():
            try:
                return serves()
            except (OSError, EOFError):
                return False

        assert eventually(back, 1.5), "not back in time"
        assert time.monotonic() - released <= 1.5
        assert eventually(lambda: server.active() == 0 == server.sockets(), 3.0)


def test_peers_hear_that_there_are_no_descriptors(serve):
    limits = {"max_connections": 1000}
    with serve({"when_full": "refuse"}, limits=limits, descriptors=128) as server:
        with connect_many(server.address, 300, get()) as crowd:
            crowd.serve(3.0, until=lambda: len(crowd.ended) + len(crowd.answered(200)) == 300)
            assert len(crowd.answered(200)) > 32
            assert len(crowd.ended) + len(crowd.answered(200)) == 300, "some hang"
            rejected = server.metrics().by("wharf_connections_rejected_total", "reason")
            assert rejected == {"pressure": len(crowd.ended)}
            served = len(crowd.answered(200))
            assert eventually(lambda: server.active() == server.sockets() == served)


def test_left_to_itself_it_never_runs_out_of_descriptors(serve):
    with serve({"when_full": "refuse"}, descriptors=256, log={"access": False}) as server:
        with connect_many(server.address, 500, get()) as crowd:
            crowd.serve(3.0, until=lambda: len(crowd.ended) + len(crowd.answered(200)) == 500)
            assert len(crowd.answered(200)) > 100
            rejected = server.metrics().by("wharf_connections_rejected_total", "reason")
            assert set(rejected) == {"process_limit"}
            assert server.ask("/health")[0] == 200

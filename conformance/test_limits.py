"""A pool holds as many connections as it may and not one more, whatever happens around it."""

import http.client
import json
import random
import threading
import time

import pytest

from harness import Peer, Sampler, connect_many, descriptors, eventually, get, in_threads

CAP = 100
CONNECTS = 1000
# Newcomers that are being refused hold a descriptor each, in a bounded set for each listener.
BEING_REFUSED = 64 + 2
QUIET = {"access": False}

pytestmark = pytest.mark.heavy


def active_of(server):
    """Asks for the pool's count, over one connection that stays open."""
    connection = http.client.HTTPConnection(*server.admin, timeout=5)

    def look():
        connection.request("GET", "/pools/web/http")
        pool = json.loads(connection.getresponse().read())
        return pool["health"]["active_connections"]

    look()
    return look


def watch(server):
    """The descriptors at about 1 kHz and the pool's count as often as it answers."""
    active = active_of(server)
    before = descriptors(server.pid)
    return Sampler(lambda: descriptors(server.pid) - before), Sampler(active, every=0.002)


def assert_never_above(files, counts, most_files):
    assert files.per_second > 300, f"only {files.per_second:.0f} samples a second"
    assert max(counts.values) <= CAP, "the pool counted more than its limit"
    assert max(files.values) <= most_files, "more descriptors than connections are allowed"


def assert_books_match(server):
    def match():
        assert server.active() == server.sockets()
        return True

    eventually(match, 2.0)


@pytest.mark.parametrize("policy", ["refuse", "reclaim", "wait"])
def test_a_thousand_connects_never_hold_more_than_a_hundred_slots(serve, policy):
    pool = {"max_connections": CAP, "when_full": policy, "queue_timeout": "60s"}
    with serve(pool, log=QUIET) as server:
        files, counts = watch(server)
        with files, counts:
            with connect_many(server.address, CONNECTS, get()) as crowd:
                settled = CONNECTS if policy != "wait" else CAP
                done = lambda: len(crowd.answered(200)) + len(crowd.ended) >= settled
                crowd.serve(10.0, until=done)
                crowd.serve(0.3)
                served = crowd.answered(200)
                assert len(served) == CAP
                assert_books_match(server)
                assert server.active() == CAP
                if policy == "wait":
                    assert not crowd.ended, "nobody is turned away while newcomers may wait"
                else:
                    assert len(crowd.ended) == CONNECTS - CAP
                    rejected = server.metrics().by("wharf_connections_rejected_total", "reason")
                    assert rejected == {"pool_limit": CONNECTS - CAP}
                    limits = [entry for entry in server.lines() if entry.get("reason") == "pool_limit"]
                    assert limits and len(limits) < 20
            eventually(lambda: server.sockets() == 0 or policy == "wait", 2.0)
        assert_never_above(files, counts, CAP + (0 if policy == "wait" else BEING_REFUSED))
        assert eventually(lambda: server.active() == 0, 5.0), "slots are lost"
        assert server.sockets() == 0


@pytest.mark.parametrize("policy", ["refuse", "reclaim"])
def test_who_is_refused_is_told_503_or_reset(serve, policy):
    pool = {"max_connections": 1, "when_full": policy}
    with serve(pool) as server, Peer(server.address) as holder:
        assert holder.request().status == 200
        with server.expecting(rejected={"pool_limit": 1}), Peer(server.address) as newcomer:
            answer = newcomer.response(within=0.7)
            assert (answer.status, answer.says_close) == (503, True)
            assert int(answer.headers["retry-after"]) >= 1
            assert newcomer.closed(1.0)
        assert holder.request().status == 200


def test_a_freed_slot_goes_to_who_waits_within_50_ms(serve):
    pool = {"max_connections": CAP, "when_full": "wait", "queue_timeout": "60s"}
    with serve(pool, log=QUIET) as server, connect_many(server.address, 300, get()) as crowd:
        crowd.serve(10.0, until=lambda: len(crowd.answered(200)) == CAP)
        taken = []
        for _ in range(50):
            crowd.leave(crowd.answered(200)[0])
            began = time.monotonic()
            crowd.serve(2.0, until=lambda: len(crowd.answered(200)) == CAP)
            taken.append(time.monotonic() - began)
            assert len(crowd.answered(200)) == CAP
        assert max(taken) <= 0.050, sorted(taken)[-5:]


@pytest.mark.parametrize("policy", ["refuse", "reclaim"])
def test_a_freed_slot_is_free_for_newcomers_within_50_ms(serve, policy):
    pool = {"max_connections": 5, "when_full": policy}
    with serve(pool) as server:
        peers = [Peer(server.address) for _ in range(5)]
        assert all(peer.request().status == 200 for peer in peers)
        for _ in range(20):
            peers.pop(0).close()
            time.sleep(0.050)
            peers.append(Peer(server.address))
            assert peers[-1].request().status == 200
        for peer in peers:
            peer.close()


def test_newcomers_wait_in_the_backlog_until_queue_timeout_and_are_then_refused(serve):
    pool = {"max_connections": 1, "when_full": "wait", "queue_timeout": "1s"}
    with serve(pool) as server, Peer(server.address) as holder:
        assert holder.request().status == 200
        with server.expecting(rejected={"pool_limit": 1}), Peer(server.address) as newcomer:
            newcomer.send(get())
            assert newcomer.response().status == 503
            assert 0.95 <= time.monotonic() - newcomer.opened <= 1.5
        holder.close()
        with Peer(server.address) as next_one:
            assert next_one.request().status == 200


def churn(server, seconds):
    """Connections that are served, panic, vanish with a reset at any moment, or wait a moment."""

    def work(n, still):
        chance = random.Random(n)
        while still():
            try:
                with Peer(server.address, timeout=5) as peer:
                    misbehave(peer, chance)
            except (OSError, EOFError):
                # Refused, as most are.
                time.sleep(0.001)

    in_threads(60, work, seconds)


def misbehave(peer, chance):
    kind = chance.random()
    if kind < 0.5:
        assert peer.request("/panic").status in (500, 503)
    elif kind < 0.6:
        peer.reset()
    elif kind < 0.7:
        peer.send("GET /hello HT")
        peer.reset()
    elif kind < 0.8:
        peer.send(get("/slow?ms=1000"))
        time.sleep(0.02)
        peer.reset()
    elif kind < 0.9:
        time.sleep(0.05)
    else:
        assert peer.request().status in (200, 503)


@pytest.mark.parametrize("policy", ["refuse", "reclaim", "wait"])
def test_panics_and_vanishing_clients_leave_the_limit_and_the_books_intact(serve, policy):
    pool = {"max_connections": 30, "when_full": policy, "queue_timeout": "60s"}
    with serve(pool, log=QUIET | {"level": "warn"}, may_panic=True) as server:
        files, counts = watch(server)
        with files, counts:
            churn(server, 4.0)
            assert eventually(lambda: server.active() == 0 == server.sockets(), 3.0), (
                f"active {server.active()}, sockets {server.sockets()}")
        assert max(counts.values) <= 30
        assert max(files.values) <= 30 + (0 if policy == "wait" else BEING_REFUSED)
        assert server.in_flight() == 0
        with Peer(server.address) as probe:
            assert probe.request().status == 200


@pytest.mark.parametrize("policy", ["refuse", "reclaim", "wait"])
def test_a_limit_that_changes_a_hundred_times_a_second_is_never_exceeded(serve, policy):
    pool = {"max_connections": CAP, "when_full": policy, "queue_timeout": "60s"}
    with serve(pool, log=QUIET | {"level": "error"}, may_panic=True) as server:
        if server.write("/pools/web/http", "PATCH", {"max_connections": CAP})[0] in (404, 405):
            pytest.skip("this version cannot change a pool while it runs")
        files, counts = watch(server)
        stop = threading.Event()
        changes = []

        def change():
            while not stop.wait(0.008):
                limit = 50 if len(changes) % 2 else CAP
                status, _, body = server.write(
                    "/pools/web/http", "PATCH", {"max_connections": limit})
                changes.append(status)
                assert status == 200, body

        changer = threading.Thread(target=change)
        with files, counts:
            changer.start()
            try:
                with connect_many(server.address, CONNECTS, get()) as crowd:
                    crowd.serve(2.0)
                    churn(server, 3.0)
            finally:
                stop.set()
                changer.join()
            assert eventually(lambda: server.active() == 0 == server.sockets(), 3.0)
        assert set(changes) == {200} and len(changes) > 100
        assert max(counts.values) <= CAP
        assert max(files.values) <= CAP + (0 if policy == "wait" else BEING_REFUSED) + 2


def test_a_lowered_limit_admits_nobody_until_there_is_room(serve):
    with serve({"max_connections": 10, "when_full": "refuse"}) as server:
        peers = [Peer(server.address) for _ in range(10)]
        assert all(peer.request().status == 200 for peer in peers)
        status, _, body = server.write("/pools/web/http", "PATCH", {"max_connections": 5})
        if status in (404, 405):
            pytest.skip("this version cannot change a pool while it runs")
        assert status == 200, body
        for left in range(9, 4, -1):
            with Peer(server.address) as newcomer:
                assert newcomer.response().status == 503
            peers.pop().close()
            assert eventually(lambda: server.active() == left)
        with Peer(server.address) as newcomer:
            assert newcomer.response().status == 503
        peers.pop().close()
        assert eventually(lambda: server.active() == 4)
        with Peer(server.address) as newcomer:
            assert newcomer.request().status == 200
        for peer in peers:
            assert peer.request().status == 200
            peer.close()


def test_the_process_and_the_listener_have_limits_of_their_own(serve):
    for part, reason in (("limits", "process_limit"), ("listener", "listener_limit")):
        with serve({"when_full": "refuse"}, **{part: {"max_connections": 2}}) as server:
            with Peer(server.address) as one, Peer(server.address) as two:
                assert one.request().status == two.request().status == 200
                with server.expecting(rejected={reason: 1}), Peer(server.address) as three:
                    assert three.response().status == 503

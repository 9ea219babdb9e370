"""A pool holds as many connections as it may and not one more, whatever happens around it."""

import http.client
import itertools
import json
import random
import time

import pytest

from harness import Peer, Sampler, connect_many, descriptors, eventually, get, in_threads

CAP = 100
CONNECTS = 1000
# Newcomers that are being refused hold a descriptor each, in a bounded set for each listener.
BEING_REFUSED = 64
QUIET = {"access": False}

pytestmark = pytest.mark.heavy


class Door:
    """One admin connection that stays open, so that it does not change how many descriptors there are."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(*server.admin, timeout=5)
        self.active()

    def pool(self):
        return json.loads(self.ask("GET")[1])

    def active(self):
        return self.pool()["health"]["active_connections"]

    def limit(self, limit):
        return self.ask("PATCH", json.dumps({"max_connections": limit}))

    def ask(self, method, body=None):
        headers = {"x-wharf-admin": "1", "content-type": "application/json"}
        self.connection.request(method, "/pools/web/http", body, headers)
        response = self.connection.getresponse()
        return response.status, response.read()


class Watch:
    """Samples the descriptors at 1 kHz, and the pool's own count as often as it is told.

    To be begun before peers connect, because the samplers' processes get a copy of what is open. In
    the meantime use `door`: another admin connection would have a descriptor too.
    """

    def __init__(self, server):
        self.pid = server.pid
        self.door, sampled = Door(server), Door(server)
        self.before = descriptors(self.pid)
        self.files = Sampler(self.held, punctual=True)
        self.counts = Sampler(sampled.active, every=0.002)

    def held(self):
        """How many more descriptors are open than at rest."""
        return descriptors(self.pid) - self.before

    def __enter__(self):
        self.files.__enter__()
        self.counts.__enter__()
        return self

    def __exit__(self, *error):
        self.counts.__exit__(*error)
        self.files.__exit__(*error)

    def assert_never_above(self, limit, policy):
        assert self.files.per_second > 900, f"only {self.files.per_second:.0f} samples a second"
        assert max(self.counts.values) <= limit, "the pool counted more than its limit"
        most = limit + (0 if policy == "wait" else BEING_REFUSED)
        # The server reads its file every other second, to see whether it has changed.
        assert max(self.files.values) <= most + 1, "more descriptors than connections are allowed"


def assert_books_match(server, door, active):
    def match():
        assert door.active() == server.sockets() == active
        return True

    eventually(match, 3.0)


@pytest.mark.parametrize("policy", ["refuse", "reclaim", "wait"])
def test_a_thousand_connects_never_hold_more_than_a_hundred_slots(serve, policy):
    pool = {"max_connections": CAP, "when_full": policy, "queue_timeout": "60s"}
    with serve(pool, log=QUIET) as server:
        watch = Watch(server)
        with watch:
            with connect_many(server.address, CONNECTS, get()) as crowd:
                settled = CONNECTS if policy != "wait" else CAP
                done = lambda: len(crowd.answered(200)) + len(crowd.ended) >= settled
                crowd.serve(10.0, until=done)
                crowd.serve(0.3)
                assert len(crowd.answered(200)) == CAP
                assert_books_match(server, watch.door, CAP)
                rejected = watch.door.pool()["metrics"]["rejected_by_reason"]
                if policy == "wait":
                    assert not crowd.ended, "nobody is turned away while newcomers may wait"
                    assert not any(rejected.values())
                else:
                    assert len(crowd.ended) == CONNECTS - CAP
                    assert rejected["pool_limit"] == sum(rejected.values()) == CONNECTS - CAP
            # All leave at once; with "wait" those in the backlog come in, and leave too.
            assert_books_match(server, watch.door, 0)
        watch.assert_never_above(CAP, policy)
        lines = [entry for entry in server.lines() if entry.get("reason") == "pool_limit"]
        assert len(lines) < 20 and bool(lines) == (policy != "wait")


@pytest.mark.parametrize("leave", ["in order", "by reset"])
def test_a_thousand_that_wait_pass_through_a_hundred_slots(serve, leave):
    pool = {"max_connections": CAP, "when_full": "wait", "queue_timeout": "60s"}
    with serve(pool, log=QUIET) as server:
        watch = Watch(server)
        with watch, connect_many(server.address, CONNECTS, get()) as crowd:
            served, until = 0, time.monotonic() + 20
            while served < CONNECTS and time.monotonic() < until:
                crowd.serve(0.01)
                for sock in crowd.answered(200):
                    served += 1
                    crowd.leave(sock, reset=leave == "by reset")
            assert served == CONNECTS and not crowd.ended
            assert_books_match(server, watch.door, 0)
        watch.assert_never_above(CAP, "wait")
        ended = server.metrics().by("wharf_connections_closed_total", "reason")
        assert sum(ended.values()) == CONNECTS


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


@pytest.mark.parametrize("leave", ["in order", "by reset", "after a panic", "from a handler"])
def test_a_freed_slot_goes_to_who_waits_within_50_ms(serve, leave):
    pool = {"max_connections": CAP, "when_full": "wait", "queue_timeout": "60s"}
    last_words = {"after a panic": get("/panic"), "from a handler": get("/slow?ms=5000")}
    with (
        serve(pool, log=QUIET | {"level": "error"}, may_panic=True) as server,
        connect_many(server.address, 300, get()) as crowd,
    ):
        crowd.serve(10.0, until=lambda: len(crowd.answered(200)) == CAP)
        taken = []
        for _ in range(50):
            leaver = crowd.answered(200)[0]
            if leave in last_words:
                leaver.send(last_words[leave])
                crowd.serve(0.01)
            began = time.monotonic()
            crowd.leave(leaver, reset=leave != "in order")
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
        assert eventually(lambda: server.active() == 0)
        with Peer(server.address) as next_one:
            assert next_one.request().status == 200


class Disturbed:
    """What a thousand clients and an operator do to a server, each alone or all together.

    With "panics" half of the handlers panic; with "vanishing" half of the clients are gone with a
    reset at some moment; with "changes" the limit goes up and down a hundred times a second, from
    `with` to the end of it. To be made before a `Watch`: its operator has a descriptor too.
    """

    def __init__(self, server, kinds):
        self.server, self.kinds = server, kinds
        self.served = 0
        self.operator, self.limits = Door(server), itertools.cycle([CAP // 2, CAP])
        self.changer = Sampler(self._change, every=0.008)

    def __enter__(self):
        if "changes" in self.kinds:
            self.changer.__enter__()
        return self

    def __exit__(self, *error):
        if "changes" in self.kinds:
            self.changer.__exit__(*error)

    def churn(self, seconds):
        self.served = sum(in_threads(CONNECTS, self._client, seconds))

    def assert_changes_were_taken(self):
        if "changes" in self.kinds:
            assert set(self.changer.values) == {200}
            assert self.changer.per_second > 50, f"{self.changer.per_second:.0f} changes a second"

    def _change(self):
        return self.operator.limit(next(self.limits))[0]

    def _client(self, n, still):
        chance, served = random.Random(n), 0
        while still():
            try:
                with Peer(self.server.address, timeout=5) as peer:
                    served += self._visit(peer, chance)
            except (OSError, EOFError):
                # Refused, as most are.
                time.sleep(chance.random() * 0.1)
        return served

    def _visit(self, peer, chance):
        """One connection; whether it was served."""
        panics = "panics" in self.kinds and chance.random() < 0.5
        if "vanishing" in self.kinds and chance.random() < 0.5:
            vanish(peer, chance, "/panic" if panics else "/slow?ms=1000")
            return False
        answer = peer.request("/panic" if panics else "/hello")
        assert answer.status in (500 if panics else 200, 503)
        served = answer.status != 503
        if served and chance.random() < 0.2:
            time.sleep(0.05)
        return served


def vanish(peer, chance, target):
    """Goes at once, within a head, or while its request is in the handler."""
    moment = chance.randrange(3)
    if moment == 1:
        peer.send("GET /hello HT")
    elif moment == 2:
        peer.send(get(target))
        time.sleep(chance.random() * 0.02)
    peer.reset()


@pytest.mark.parametrize("kinds", [("panics",), ("vanishing",), ("changes",),
                                   ("panics", "vanishing", "changes")], ids="+".join)
@pytest.mark.parametrize("policy", ["refuse", "reclaim", "wait"])
def test_a_thousand_clients_never_pass_the_limit_while_disturbed_by(serve, policy, kinds):
    pool = {"max_connections": CAP, "when_full": policy, "queue_timeout": "60s"}
    with serve(pool, log=QUIET | {"level": "error"}, may_panic=True) as server:
        disturbed = Disturbed(server, kinds)
        watch = Watch(server)
        with watch:
            with disturbed:
                disturbed.churn(4.0)
            assert_books_match(server, watch.door, 0)
        watch.assert_never_above(CAP, policy)
        disturbed.assert_changes_were_taken()
        assert max(watch.counts.values) > CAP // 2 and disturbed.served > CAP, "hardly any load"
        assert server.in_flight() == 0
        with Peer(server.address) as probe:
            assert probe.request().status == 200


@pytest.mark.parametrize("policy", ["refuse", "reclaim", "wait"])
def test_a_thousand_connects_never_pass_a_limit_that_changes_a_hundred_times_a_second(serve, policy):
    pool = {"max_connections": CAP, "when_full": policy, "queue_timeout": "60s"}
    with serve(pool, log=QUIET | {"level": "error"}) as server:
        disturbed = Disturbed(server, ("changes",))
        watch = Watch(server)
        with watch:
            with disturbed, connect_many(server.address, CONNECTS, get()) as crowd:
                crowd.serve(2.0)
            assert_books_match(server, watch.door, 0)
        watch.assert_never_above(CAP, policy)
        disturbed.assert_changes_were_taken()


def test_a_lowered_limit_admits_nobody_until_there_is_room(serve):
    with serve({"max_connections": 10, "when_full": "refuse"}) as server:
        peers = [Peer(server.address) for _ in range(10)]
        assert all(peer.request().status == 200 for peer in peers)
        status, _, body = server.write("/pools/web/http", "PATCH", {"max_connections": 5})
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

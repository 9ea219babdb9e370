"""After the start the limit grows: who comes early waits, and nobody is turned away."""

import time

import pytest

from harness import connect_many, get

LIMIT = 100
EARLY = {"max_connections": LIMIT, "accept_ramp": "4s"}


@pytest.mark.parametrize("policy", ["refuse", "reclaim", "wait"])
def test_a_crowd_at_the_start_comes_in_bit_by_bit_and_nobody_is_lost(serve, policy):
    # The server has not begun to serve before this.
    began = time.monotonic()
    with serve({"when_full": policy}, limits=EARLY, log={"access": False}) as server:
        with connect_many(server.address, 90, get()) as crowd:
            samples = []
            while len(crowd.answered(200)) < 90 and time.monotonic() - began < 20:
                crowd.serve(0.05)
                active = server.json("/health")["active_connections"]
                samples.append((time.monotonic() - began, active))
            assert len(crowd.answered(200)) == 90 and not crowd.ended
            for at, active in samples:
                assert active <= max(LIMIT / 10, LIMIT * at / 4), samples
            assert samples[0][1] < 90 and len({active for _, active in samples}) > 5, samples
            rejected = server.json("/pools/web/http")["metrics"]["rejected_by_reason"]
            assert not any(rejected.values())


def test_on_a_dry_run_everybody_is_in_at_once(serve):
    limits = EARLY | {"accept_ramp": "5m", "dry_run": ["accept_ramp"]}
    with serve({"when_full": "refuse"}, limits=limits) as server:
        with connect_many(server.address, LIMIT, get()) as crowd:
            crowd.serve(10.0, until=lambda: len(crowd.answered(200)) == LIMIT)
            assert len(crowd.answered(200)) == LIMIT
            counted = server.json("/pools/web/http")["metrics"]["dry_run_by_reason"]
            # A ramp of five minutes: hardly more than a tenth so far.
            assert LIMIT * 8 / 10 <= counted["process_limit"] <= LIMIT * 9 / 10, counted

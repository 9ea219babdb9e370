"""Behind the gateway, servers of other people read as many requests as wharf has sent them."""

import itertools

import pytest

from harness import ByHand, Nginx, NodeServer, Peer, Server, eventually, gateway
from test_gateway_smuggling import DISGUISED
from test_strict_http1 import REFUSED, SECOND, SERVED

KINDS = {"nginx": Nginx, "node": NodeServer, "by hand": ByHand}
CASES = {f"refused: {name}": case[0] for name, case in REFUSED.items()}
CASES |= {f"served: {name}": case[0] for name, case in SERVED.items()}
CASES |= {f"disguised: {name}": case[0] for name, case in DISGUISED.items()}

NUMBER = itertools.count()


@pytest.fixture(scope="module", params=KINDS)
def kind(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("origin")
    with KINDS[request.param](folder) as origin:
        # One connection held ready, so that what one request leaves behind is the next one's affair.
        pool = "[upstream.pool]\nmin_idle = 1\nmax_connections_per_endpoint = 1\nmax_age = \"off\"\n"
        pool += "[upstream.outlier]\nenabled = false\n"
        more = gateway(origin, sections=pool)
        with Server(folder, listener={"protocols": ["http"]}, log={"access": False}, more=more) as server:
            yield origin, server


def sent(server):
    """How many requests wharf has given to the endpoint: those that came to an answer or a failure, and those
    that it gave up before, for what came of their bodies was refused."""
    metrics = server.metrics()
    by_class = metrics.by("wharf_upstream_requests_total", "status_class")
    given_up = int(by_class.pop("cancelled", 0))
    return int(sum(by_class.values()) + metrics.total("wharf_upstream_failures_total")), given_up


def test_there_are_enough_cases():
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_wharf_and_the_server_behind_it_count_the_same(kind, name):
    origin, server = kind
    content = CASES[name]
    content = content.encode("latin-1") if isinstance(content, str) else content
    before, had = sent(server), len(origin.lines())
    with Peer(server.address) as peer:
        peer.send(content + SECOND.encode())
        # Until the second is answered, or it is over.
        eventually(lambda: not peer.is_open() or b"GET /hello?second" in peer.buffer, 1.0)
    # Who comes next is answered what he has asked.
    probe = f"/probe?{next(NUMBER)}"
    with Peer(server.address) as peer:
        assert peer.request(probe).body.decode() == f"GET {probe}"

    def given():
        return [after - was for after, was in zip(sent(server), before, strict=True)]

    def agreed():
        (ended, given_up), read = given(), len(origin.lines()) - had
        # Of one that was given up the server may have read all that it tells of, or not.
        return given_up <= name.startswith("refused") and ended <= read <= ended + given_up
    assert eventually(agreed, 3.0), (given(), origin.lines()[had:])
    seen = origin.lines()[had:]
    # What is refused is one request at most, and it was answered by nobody else.
    assert len(seen) <= (2 if name.startswith("refused") else 3), seen
    # Node.js knows a list of methods, and no others.
    unknown = name == "served: a method that nobody knows"
    assert not [it for it in seen if it.startswith("garbage") and not (unknown and "INVALID_METHOD" in it)], seen
    # Whatever is behind a request that is refused is nobody's.
    if name.startswith("refused"):
        assert "GET /hello?second" not in seen
    assert seen.count(f"GET {probe}") == 1

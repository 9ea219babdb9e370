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

GIVEN_UP = {"refused: 20 KB of extensions in many chunks", "refused: 20 KB of chunk extensions", "refused: 20 KB of trailers"}

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
    """How many requests wharf has given to the endpoint: those that were answered, and those that were not."""
    metrics = server.metrics()
    return int(metrics.total("wharf_upstream_requests_total") + metrics.total("wharf_upstream_failures_total"))


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

    def agreed():
        given, read = sent(server) - before, len(origin.lines()) - had
        # One that is given up before its answer, for its body was refused, is not among those that have ended.
        return given == read or (name in GIVEN_UP and given == read - 1)
    assert eventually(agreed, 3.0), (sent(server) - before, origin.lines()[had:])
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

"""Everything on one port: each connection in the pool of what it speaks, and each pool full alone."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import pytest
from hyperframe.frame import GoAwayFrame, SettingsFrame
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from harness import H2, Code, Peer, Ws, eventually, get, node_command, sockets_to
from harness.h2 import PREFACE, data, headers, settings

CROWDS = Path(__file__).resolve().parent / "crowds"
QUIET = {"access": False}
ALL = ["http", "http2", "grpc", "websocket"]
EACH = 200
METHOD = "/wharf.demo.v1.Echo/Unary"
HI = b"\x0a\x02hi"  # an EchoRequest and an EchoReply


def active(server):
    """Open connections by protocol; a protocol without any is not there."""
    return server.metrics().by("wharf_connections_active", "protocol")


# A thousand clients of five kinds.


class Crowd:
    """Clients of one kind, in a process of their own, which ends well or has said why."""

    def __init__(self, command, folder, name):
        self.name, self.log = name, folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)

    def held(self, server):
        """How many connections it has, by the kernel."""
        return sockets_to(self.process.pid, server.address[1])

    def ended(self, within):
        code = self.process.wait(within)
        assert code == 0, f"{self.name}: {code} {self.log.read_text()[-500:]}"


def crowds(server, seconds, folder):
    """200 connections each of curl, h2load, grpcio, grpc-js and websockets."""
    address = "%s:%d" % server.address
    # An answer in pieces, one each half second, on a connection of its own.
    lines = [f'url = "http://{address}/slow?ms=500&chunks={2 * seconds}"\noutput = "/dev/null"\n'] * EACH
    (folder / "curl.conf").write_text("".join(lines))
    python, count, long = sys.executable, str(EACH), str(seconds)
    commands = {
        "curl": ["curl", "--silent", "--fail", "--http1.1", "--parallel", "--parallel-immediate",
                 "--parallel-max", count, "--config", folder / "curl.conf"],
        "h2load": ["h2load", "-c", count, "-m", "1", "--rps", "2", "-D", long, f"http://{address}/hello"],
        "grpcio": [python, CROWDS / "grpc_python.py", address, count, long],
        "grpc-js": node_command(CROWDS / "grpc_node.js", address, count, long),
        "websockets": [python, CROWDS / "sessions.py", f"ws://{address}/ws", count, long],
    }
    return {name: Crowd(command, folder, name) for name, command in commands.items()}


POOL_OF = {"curl": "http", "h2load": "http2", "grpcio": "grpc", "grpc-js": "grpc", "websockets": "websocket"}


@pytest.mark.heavy
def test_a_thousand_clients_of_five_kinds_are_each_counted_where_they_belong(serve, tmp_path):
    for tool in ("curl", "h2load"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    seconds = 18
    with serve(listener={"protocols": ALL}, log=QUIET) as server:
        kinds = crowds(server, seconds, tmp_path)
        try:
            everyone = {"http": EACH, "http2": EACH, "grpc": 2 * EACH, "websocket": EACH}
            assert eventually(lambda: active(server) == everyone, 10, 0.2), active(server)
            for _ in range(8):
                held = dict.fromkeys(ALL, 0)
                for name, kind in kinds.items():
                    held[POOL_OF[name]] += kind.held(server)
                assert active(server) == held == everyone
                assert server.sockets() == sum(held.values())
                time.sleep(1)
            # One kind vanishes in the middle; the others' counts are theirs as before.
            kinds["curl"].process.kill()
            assert eventually(lambda: server.sockets() == 4 * EACH, 3)
            del everyone["http"]
            assert eventually(lambda: active(server) == everyone, 2)
            for name in ("h2load", "grpcio", "grpc-js", "websockets"):
                kinds[name].ended(within=20)
        finally:
            for kind in kinds.values():
                kind.__exit__()
        assert eventually(lambda: server.active() == 0 == server.sockets(), 3)
        metrics = server.metrics()
        ended = metrics.by("wharf_connections_closed_total", "reason")
        assert set(ended) <= {"client_closed", "completed", "peer_reset"}, ended
        assert metrics.total("wharf_connections_closed_total") == 5 * EACH
        assert not any(metrics.by("wharf_connections_rejected_total", "reason").values())
        assert metrics.total("wharf_http2_abuse_total") == 0


# Each pool full in turn.


class Door:
    """How one kind of client comes in, what it does then, and how it is told that there is no room."""

    def __init__(self, server):
        self.server, self.inside = server, []

    def enter(self):
        """One more is in, is served, and stays."""
        peer = self.admitted()
        self.inside.append(peer)
        return peer

    def leave(self):
        for peer in self.inside:
            peer.close()


class Http(Door):
    def admitted(self):
        peer = Peer(self.server.address)
        assert peer.request().status == 200
        return peer

    def served(self, peer):
        return peer.request().body == b"Hello, World!"

    def assert_refused(self):
        with Peer(self.server.address) as peer:
            peer.send(get())
            answer = peer.response()
            assert (answer.status, answer.says_close) == (503, True)
            assert int(answer.headers["retry-after"]) >= 1
            assert peer.closed(1)


class Http2(Door):
    def admitted(self):
        peer = H2(self.server.address)
        peer.asked = 1
        assert peer.get().status == 200
        return peer

    def served(self, peer):
        peer.asked += 2
        return peer.get(peer.asked).body == b"Hello, World!"

    def assert_refused(self):
        with H2(self.server.address, greet=False) as peer:
            peer.send(PREFACE, settings(), headers(1, peer.block(peer.fields())))
            peer.ended(2)
            assert isinstance(peer.frames[0], SettingsFrame)
            goaway = next(frame for frame in peer.frames if isinstance(frame, GoAwayFrame))
            assert (goaway.last_stream_id, goaway.error_code) == (0, Code.NO_ERROR)


class Grpc(Door):
    """The call is by hand where it is to be served, and grpcio's where it is not."""

    def admitted(self):
        peer = H2(self.server.address)
        peer.asked = -1
        assert self.served(peer)
        return peer

    def served(self, peer):
        peer.asked += 2
        fields = [("content-type", "application/grpc"), ("te", "trailers")]
        peer.request(peer.asked, METHOD, method="POST", more=fields)
        peer.send(data(peer.asked, b"\0\0\0\0\x04" + HI, end_stream=True))
        return peer.response(peer.asked).headers["grpc-status"] == "0"

    def assert_refused(self):
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        with grpc.insecure_channel("%s:%d" % self.server.address, options=options) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(METHOD)(HI, timeout=5)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


class Session(Door):
    def admitted(self):
        peer = Ws(self.server.address)
        assert self.served(peer)
        return peer

    def served(self, peer):
        peer.say(0x81, b"hi")
        return peer.hear() == (0x81, b"hi")

    def assert_refused(self):
        with pytest.raises(InvalidStatus) as refused:
            connect("ws://%s:%d/ws" % self.server.address).__enter__()
        answer = refused.value.response
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1


DOORS = {"http": Http, "http2": Http2, "grpc": Grpc, "websocket": Session}
# Who comes in while a pool is full: a session begins as a request of HTTP/1, and a call in HTTP/2.
OTHERS = {
    "http": {"http2", "grpc"},
    "http2": {"http", "websocket"},
    "grpc": {"http", "http2", "websocket"},
    "websocket": {"http", "http2", "grpc"},
}


@pytest.mark.parametrize("full", DOORS)
def test_a_full_pool_refuses_in_its_own_words_and_the_others_go_on(serve, full):
    pools = {full: {"max_connections": 2, "when_full": "refuse"}}
    with serve(listener={"protocols": ALL}, pools=pools, log=QUIET) as server:
        doors = {name: door(server) for name, door in DOORS.items()}
        for door in doors.values():
            door.enter()
        doors[full].enter()
        assert eventually(lambda: active(server) == dict.fromkeys(ALL, 1) | {full: 2})
        for turn in range(1, 4):
            doors[full].assert_refused()
            rejected = server.metrics().by("wharf_connections_rejected_total", "reason")
            assert rejected["pool_limit"] >= turn
            for name in OTHERS[full]:
                doors[name].enter()
        others = {name: 4 if name in OTHERS[full] else 1 for name in ALL if name != full}
        assert eventually(lambda: active(server) == others | {full: 2}), active(server)
        assert eventually(lambda: server.sockets() == sum(others.values()) + 2)
        # Those who were in before are served as before.
        for door in doors.values():
            assert all(door.served(peer) for peer in door.inside)
        # One place is free again, and taken.
        doors[full].inside.pop().close()
        assert eventually(lambda: active(server)[full] == 1)
        doors[full].enter()
        for door in doors.values():
            door.leave()
        assert eventually(lambda: server.active() == 0 == server.sockets())

"""Clients as people use them, all at once, against a server as it comes: no defence fires at any of them."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import pytest

from harness import Authority, Browser, Peer, Server, autobahn, in_threads, node_command

CROWDS = Path(__file__).resolve().parent / "crowds"
QUIET = {"access": False}
# Everything that may be switched on, is.
ADAPTIVE = '[limits.requests]\nmode = "on"\n'
# How connections end whose clients leave. h2load and browsers reset what they no longer want.
WELL = {"client_closed", "completed", "peer_reset"}
# What Autobahn's cases are of that break no rule: frames of all kinds and sizes, fragments, UTF-8, closes.
RIGHT = ["1.*", "2.1", "2.2", "2.3", "2.4", "2.6", "2.7", "2.8", "2.9", "2.10", "2.11", "5.3", "5.4", "5.5", "5.6",
         "5.7", "5.8", "6.1.*", "6.2.*", "7.1.1", "9.7.*", "9.8.*", "10.*"]
PAGE = """Promise.all(Array.from({ length: 30 }, (_, n) =>
    fetch(`/bytes?n=${1000 * n}`, { cache: "no-store" }).then((it) => it.blob()).then((it) => it.size)))"""
SESSION = """new Promise((done, failed) => {
    const session = new WebSocket(location.origin.replace("http", "ws") + "/ws");
    session.onopen = () => session.send("hi");
    session.onmessage = ({ data }) => session.close(1000, data);
    session.onclose = ({ code, reason }) => done([code, reason]);
    session.onerror = () => failed("no session");
})"""


def ran(command, within):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=within, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.returncode} {done.stderr[-500:]}{done.stdout[-500:]}"
    return done.stdout


# Each kind of client: what it does once, some seconds long.


class Kinds:
    def __init__(self, plain, tls, folder, spell):
        self.plain, self.tls, self.folder, self.spell = plain, tls, folder, spell
        self.at, self.over = "http://%s:%d" % plain.address, "https://%s:%d" % tls.address
        self.large = folder / "large"
        self.large.write_bytes(bytes(3_000_000))

    def curl(self):
        """Pages, an upload that asks first, one that is slow, a slow reader; every version of HTTP."""
        common = ["curl", "--silent", "--show-error", "--fail", "--insecure", "--output", "/dev/null"]
        upload = ["--data-binary", f"@{self.large}"]
        # curl 7.88 cannot ask twice on a connection of HTTP/2 in plain, whoever the server is.
        for how, where, pages in ((["--http1.1"], self.at, 5), (["--http2-prior-knowledge"], self.at, 1),
                                  (["--http2"], self.over, 5)):
            ran([*common, *how, *[f"{where}/hello"] * pages], 30)
            ran([*common, *how, *upload, f"{where}/count"], 60)
            ran([*common, *how, *upload, "--limit-rate", "1M", f"{where}/count"], 60)
            ran([*common, *how, "--limit-rate", "1M", f"{where}/bytes?n=3000000"], 60)

    def wrk(self):
        told = ran(["wrk", "-t1", "-c50", "-d3s", f"{self.at}/hello"], 30)
        assert "Non-2xx" not in told and "Socket errors" not in told, told
        time.sleep(3)

    def h2load(self):
        for where in (self.at, self.over):
            told = ran(["h2load", "-t1", "-c8", "-m100", "-D2", f"{where}/bytes?n=1000"], 30)
            assert " 0 failed, 0 errored, 0 timeout" in told, told
            time.sleep(2)

    def grpcio(self):
        ran([sys.executable, CROWDS / "grpc_python.py", "%s:%d" % self.plain.address, 20, self.spell], self.spell + 60)

    def grpc_js(self):
        ran(node_command(CROWDS / "grpc_node.js", "%s:%d" % self.plain.address, 20, self.spell), self.spell + 60)

    def sessions(self):
        url = "ws://%s:%d/ws" % self.plain.address
        ran([sys.executable, CROWDS / "sessions.py", url, 20, self.spell], self.spell + 60)

    def chromium(self):
        """Loads a page with much on it in plain and over TLS, talks, is left alone, and asks again."""
        with Browser(Path(mkdtemp(dir=self.folder))) as browser:
            for scheme, server in ("http", self.plain), ("https", self.tls):
                with browser.open(f"{scheme}://localhost:{server.address[1]}/hello") as tab:
                    for _ in range(3):
                        assert tab.run(PAGE) == [1000 * n for n in range(30)]
                        assert tab.run(SESSION) == [1000, "hi"]
                    time.sleep(self.spell)
                    assert tab.run(PAGE) == [1000 * n for n in range(30)]

    def autobahn(self):
        found = autobahn("ws://%s:%d/ws" % self.plain.address, RIGHT, self.folder / "autobahn", within=240)
        assert len(found) > 50
        wrong = {case: how for case, how in found.items() if not set(how) <= {"OK", "NON-STRICT", "INFORMATIONAL"}}
        assert not wrong

    def probes(self):
        """As Kubernetes asks: by a connection, by a request, by a call, each on a connection of its own."""
        for _ in range(5):
            Peer(self.plain.address).close()
            Peer(self.tls.address).close()
            with Peer(self.plain.address) as peer:
                peer.send("GET /hello HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.31\r\nAccept: */*\r\n"
                          "Connection: close\r\n\r\n")
                assert peer.response().status == 200
            with grpc.insecure_channel("%s:%d" % self.plain.address,
                                       options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10) == b"\x08\x01"
            for server in (self.plain, self.tls):
                assert server.ask("/ready")[0] == 200
            time.sleep(1)


def assert_nobody_was_suspected(server):
    metrics = server.metrics()
    ended = {why: n for why, n in metrics.by("wharf_connections_closed_total", "reason").items() if n}
    assert set(ended) <= WELL, (ended, server.tail())
    for name in ("wharf_connections_rejected_total", "wharf_http2_abuse_total", "wharf_requests_shed_total"):
        assert metrics.total(name) == 0, (name, server.tail())
    assert server.json("/health")["pressure"]["rung"] == "calm"
    return sum(ended.values())


# In the long form eight kinds of clients and probes are at it for eight minutes: an hour and twelve minutes of theirs.
@pytest.mark.heavy
@pytest.mark.parametrize("seconds", [5, pytest.param(480, marks=pytest.mark.long)])
def test_no_defence_fires_at_clients_as_people_use_them(tmp_path, seconds):
    for tool in ("curl", "wrk", "h2load", "node", "chromium"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    for name in ("plain", "tls"):
        (tmp_path / name).mkdir()
    keys = Authority().issue("localhost", "127.0.0.1").write(tmp_path / "tls")
    spoken = {"protocols": ["http", "http2", "grpc", "websocket"]}
    over = {"protocols": ["https", "http2", "websocket"], "tls": keys}
    with (Server(tmp_path / "plain", listener=spoken, log=QUIET, more=ADAPTIVE) as plain,
          Server(tmp_path / "tls", listener=over, log=QUIET, more=ADAPTIVE) as tls):
        kinds = Kinds(plain, tls, tmp_path, spell=min(seconds, 60))
        works = [kinds.curl, kinds.wrk, kinds.h2load, kinds.grpcio, kinds.grpc_js, kinds.sessions, kinds.chromium,
                 kinds.autobahn, kinds.probes]

        def work(n, still):
            turns = 0
            while still():
                works[n]()
                turns += 1
            return turns

        turns = in_threads(len(works), work, seconds, grace=300)
        assert all(turns), "every kind has been there"
        assert assert_nobody_was_suspected(plain) > 100 and assert_nobody_was_suspected(tls) > 10

"""The server under test: its file, its process, its admin API and its logs."""

import http.client
import json
import os
import random
import resource
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from .kernel import give_up_reading_all, sockets_of, threads_of
from .metrics import Metrics
from .wait import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
WRITE = {"x-wharf-admin": "1"}
# How peers of a test usually leave; not worth naming in each.
ORDINARY = {"client_closed", "completed"}


def binary():
    """The program under test: `WHARF_BIN`, else what cargo has built here."""
    return Path(os.environ.get("WHARF_BIN") or REPOSITORY / "target/release/wharf").resolve()


def free_port(host="127.0.0.1"):
    """A port that is free now and that no outgoing connection is given: those are from above."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(min(10_000, lowest - 1_000), lowest)
        with socket.socket() as sock:
            try:
                sock.bind((host, port))
                return port
            except OSError:
                continue


class StartFailed(Exception):
    """The server ended instead of being ready."""

    def __init__(self, code, errors):
        super().__init__(f"exit code {code}\n{errors}")
        self.code, self.errors = code, errors


class Server:
    """`wharf serve` with a file of its own, from `with` to the end of it.

    `pool` are the keys of `[listener.pools.http]`, `pools` those of other protocols by their name,
    `listener` those of the listener "web" itself; `server`, `limits`, `log` and `admin` are the
    sections of these names. `more` is put at the end. It listens on an address of `host`, and may
    have so many `descriptors`, and a `memory` of so much (a `MemoryLimit`). `may_read_all=False`
    holds root to the permissions of files. `prepare` is called in the child before it becomes the server.

    Who stands in `watchers` is told of each server that has started and of each that is about to end.
    """

    watchers = []

    def __init__(self, folder, pool=None, *, pools=None, listener=None, server=None, limits=None,
                 log=None, admin=None, more="", host="127.0.0.1", descriptors=None, memory=None,
                 may_panic=False, may_read_all=True, prepare=None):
        self.folder = Path(folder)
        self.parts = {"server": server or {}, "limits": limits or {}, "log": log or {}}
        self.pools = ({"http": pool} if pool else {}) | (pools or {})
        self.listener, self.admin_part = listener or {}, admin or {}
        self.more, self.host, self.may_panic = more, host, may_panic
        self.descriptors, self.memory, self.may_read_all = descriptors, memory, may_read_all
        self.prepare = prepare
        self.process = None
        self.expected_code = None

    def __enter__(self):
        for attempt in range(5):
            try:
                self._start()
                return self
            except StartFailed as failure:
                # Somebody else may have got the port in the meantime.
                if "in use" not in failure.errors or attempt == 4:
                    raise
        return self

    def __exit__(self, kind, *_):
        self._tell_of_the_end()
        code = self.process.poll()
        if code is None:
            self.process.kill()
            self.process.wait(10)
        if kind is None:
            assert code == self.expected_code, f"the server has ended with {code}: {self.tail()}"
            if not self.may_panic:
                assert "panicked" not in self.errors(), self.tail()

    # The process.

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        """Sends a signal; returns when."""
        self.process.send_signal(number)
        return time.monotonic()

    def exited(self, within):
        """Waits for the end; returns the exit code."""
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within} s: {self.tail()}") from None
        self.expected_code = code
        return code

    def stop(self):
        """Ends it at once; for what several tests share."""
        self._tell_of_the_end()
        self.process.kill()
        self.exited(within=10)

    def restart(self):
        """Starts it again after `stop`, with the same file and addresses."""
        self.expected_code = None
        self._launch()

    def sockets(self):
        """The listener's connections with an open descriptor, by the kernel."""
        return sockets_of(self.pid, self.address[1])

    # The admin API.

    def ask(self, path, method="GET", headers=None, body=None, within=5.0):
        """A request to the admin API: status, headers, body."""
        connection = http.client.HTTPConnection(*self.admin, timeout=within)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
                headers = {"content-type": "application/json"} | (headers or {})
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        except TimeoutError as error:
            error.add_note(f"{method} {path}: no answer within {within} s; {threads_of(self.pid)}")
            raise
        finally:
            connection.close()

    def json(self, path):
        status, _, body = self.ask(path)
        assert status == 200, f"{path}: {status} {body[:500]!r}"
        return json.loads(body)

    def write(self, path, method, body=None):
        """A request that changes something."""
        return self.ask(path, method, WRITE, body)

    def metrics(self):
        status, _, body = self.ask("/metrics")
        assert status == 200
        return Metrics(body.decode())

    def active(self):
        return int(self.metrics().total("wharf_connections_active"))

    def in_flight(self):
        return int(self.metrics().total("wharf_requests_in_flight"))

    @contextmanager
    def expecting(self, closed=None, rejected=None, within=3.0, line=True):
        """Holds the books against what happens inside: each connection ends for its reason, once.

        Afterwards as many connections are active as before. Ordinary ends need no mention. With
        `line` each reason that the log tells of must be there.
        """
        before, told = self.metrics(), len(self.lines())
        yield

        def delta(name, after):
            was, now = before.by(name, "reason"), after.by(name, "reason")
            changed = {reason: now[reason] - was.get(reason, 0) for reason in now}
            return {reason: n for reason, n in changed.items() if n}

        def ledger():
            after = self.metrics()
            ended = delta("wharf_connections_closed_total", after)
            wanted = closed or {}
            ended = {r: n for r, n in ended.items() if r in wanted or r not in ORDINARY}
            assert ended == wanted
            assert delta("wharf_connections_rejected_total", after) == (rejected or {})
            active = "wharf_connections_active"
            assert after.total(active) == before.total(active)
            return True

        eventually(ledger, within)
        assert self.process.poll() is None, self.tail()
        logged = {reason for reason in closed or {} if reason in TOLD}
        if line and logged:
            def lines():
                reasons = {entry.get("reason") for entry in self.lines()[told:]}
                assert logged <= reasons
                return True
            eventually(lines, 1.0)

    @contextmanager
    def ending(self, *reasons, within=3.0):
        """As `expecting` of one connection that has to end, for any one of the reasons."""
        name = "wharf_connections_closed_total"
        before = self.metrics()
        yield

        def ended():
            after = self.metrics()
            was, now = before.by(name, "reason"), after.by(name, "reason")
            changed = {r: now[r] - was.get(r, 0) for r in now if now[r] != was.get(r, 0)}
            unusual = {r: n for r, n in changed.items() if r in reasons or r not in ORDINARY}
            assert sum(unusual.values()) == 1 and set(unusual) <= set(reasons), changed
            active = "wharf_connections_active"
            assert after.total(active) == before.total(active)
            return True

        eventually(ended, within)
        assert self.process.poll() is None, self.tail()

    # The logs.

    def errors(self):
        """What it wrote to standard error."""
        return self.stderr.read_text(errors="replace")

    def lines(self):
        """The log."""
        return _objects(self.stderr)

    def requests(self):
        """The access log."""
        return _objects(self.stdout)

    def tail(self):
        return "\n".join(self.errors().splitlines()[-20:])

    # The start.

    def _start(self):
        self.address = (self.host, free_port(self.host))
        self.admin = ("127.0.0.1", free_port())
        self.file = self.folder / "wharf.toml"
        self.file.write_text(self.text())
        self.stdout, self.stderr = self.folder / "stdout.log", self.folder / "stderr.log"
        self._launch()

    def _launch(self):
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [binary(), "serve", "--config", self.file],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.folder,
                preexec_fn=self._limit if self._is_limited() else None,
            )
        try:
            assert eventually(self._is_ready, 10.0), f"not ready: {self.tail()}"
        except BaseException:
            self.process.kill()
            self.process.wait(10)
            raise
        for watcher in self.watchers:
            watcher.started(self)

    def _tell_of_the_end(self):
        if self.process.poll() is None:
            for watcher in self.watchers:
                watcher.ending(self)

    def _is_limited(self):
        return self.descriptors or self.memory or not self.may_read_all or self.prepare

    def _limit(self):
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
        if self.memory:
            self.memory.enter()
        if not self.may_read_all:
            give_up_reading_all()
        if self.prepare:
            self.prepare()

    def _is_ready(self):
        if self.process.poll() is not None:
            raise StartFailed(self.process.returncode, self.errors())
        try:
            return self.ask("/ready")[0] == 200
        except OSError:
            return False

    def text(self):
        """The configuration file."""
        own = {"name": "web", "address": "%s:%d" % self.address, "protocols": ["http"]}
        admin = {"address": "%s:%d" % self.admin} | self.admin_part
        parts = {**self.parts, "admin": admin}
        text = "".join(f"[{name}]\n{_toml(part)}" for name, part in parts.items() if part)
        text += f"[[listener]]\n{_toml(own | self.listener)}"
        for name, pool in self.pools.items():
            text += f"[listener.pools.{name}]\n{_toml(pool)}"
        return text + self.more


# The close reasons that have a line in the log: deadlines and faults.
TOLD = {
    "idle", "connection_timeout", "headers_timeout", "request_timeout", "stream_idle",
    "slow_request", "slow_reader", "peer_dead", "bad_request", "protocol_error",
    "message_too_large", "peer_reset", "panic", "proxy_protocol", "application_error",
    "http2_abuse", "ping_timeout", "tls_error", "tls_timeout", "pong_timeout", "slow_consumer",
    "websocket_abuse",
}


def _toml(part):
    return "".join(f"{key} = {_value(value)}\n" for key, value in part.items())


def _value(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def _objects(path):
    objects = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            objects.append(json.loads(line))
        except json.JSONDecodeError:
            objects.append({"unparsed": line})
    return objects



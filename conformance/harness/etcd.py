"""A real etcd, asked by its JSON gateway."""

import base64
import json
import shutil
import signal
import subprocess
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from .server import free_port
from .wait import eventually


def _coded(text):
    return base64.b64encode(text.encode()).decode()


class Etcd:
    """etcd with one member, from `with` to the end of it, on ports that stay its own; `tls` are the keys of its
    door: `certificate`, `key` and perhaps `client_ca`."""

    def __init__(self, folder, tls=None, context=None):
        if not shutil.which("etcd"):
            pytest.skip("etcd is not installed (Debian: etcd-server)")
        self.folder, self.tls, self.context = folder / "etcd", tls or {}, context
        self.folder.mkdir()
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{free_port()}"
        self.peers = f"http://127.0.0.1:{free_port()}"
        self.process, self.token = None, None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        """Starts it, also again after `kill`, with what it had."""
        told = {"name": "one", "data-dir": self.folder / "data", "listen-client-urls": self.url,
                "advertise-client-urls": self.url, "listen-peer-urls": self.peers,
                "initial-advertise-peer-urls": self.peers, "initial-cluster": f"one={self.peers}",
                "unsafe-no-fsync": "true", "auth-token": "simple"}
        told |= {name: self.tls[key] for name, key in (
            ("cert-file", "certificate"), ("key-file", "key"), ("trusted-ca-file", "client_ca")) if key in self.tls}
        told |= {"client-cert-auth": "true"} if "client_ca" in self.tls else {}
        if "unsafe-no-fsync" in told and not _knows("unsafe-no-fsync"):
            del told["unsafe-no-fsync"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["etcd", *(f"--{key}={value}" for key, value in told.items())],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert eventually(self._is_ready, 20.0, every=0.05), self.log()

    def kill(self):
        """Ends it as a crash does."""
        if self.process:
            self.process.kill()
            self.process.wait(10)

    def pause(self):
        """Lets it go on holding its connections, and say nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def call(self, method, **message):
        """One call of its API: `kv/put`."""
        headers = {"Authorization": self.token} if self.token else {}
        request = Request(f"{self.url}/v3/{method}", json.dumps(message).encode(), headers)
        try:
            with urlopen(request, timeout=10, context=self.context) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise AssertionError(f"{method}: {error.read()[:300]}") from error

    def put(self, key, value):
        return self.call("kv/put", key=_coded(key), value=_coded(value))

    def delete(self, key):
        return self.call("kv/deleterange", key=_coded(key))

    def delete_all(self, prefix):
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return self.call("kv/deleterange", key=_coded(prefix), range_end=_coded(end))

    def put_many(self, pairs):
        """Many keys, a hundred in one step."""
        pairs = list(pairs)
        for at in range(0, len(pairs), 100):
            puts = [{"request_put": {"key": _coded(key), "value": _coded(value)}} for key, value in pairs[at:at + 100]]
            self.call("kv/txn", success=puts)

    def revision(self):
        return int(self.call("kv/range", key=_coded("x"))["header"]["revision"])

    def compact(self):
        """Forgets everything before now."""
        return self.call("kv/compaction", revision=self.revision(), physical=True)

    def with_users(self, user, password, prefix):
        """From now on everybody has to say who he is; `user` may read what begins with `prefix`."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        for name, secret, role in (("root", "root", "root"), (user, password, "reader")):
            self.call("auth/user/add", name=name, password=secret)
            self.call("auth/role/add", name=role)
            self.call("auth/user/grant", user=name, role=role)
        readable = {"permType": "READ", "key": _coded(prefix), "range_end": _coded(end)}
        self.call("auth/role/grant", name="reader", perm=readable)
        self.call("auth/enable")
        self.token = self.call("auth/authenticate", name="root", password="root")["token"]

    def _is_ready(self):
        assert self.process.poll() is None, self.log()
        try:
            return b"true" in urlopen(f"{self.url}/health", timeout=1, context=self.context).read()
        except OSError:
            return False


def _knows(option):
    told = subprocess.run(["etcd", "--help"], capture_output=True, text=True, check=False)
    return option in told.stdout + told.stderr

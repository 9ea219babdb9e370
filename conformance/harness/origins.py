"""Servers of other people behind the gateway, which tell each request that they have read."""

import contextlib
import json
import shutil
import socket
import subprocess

import pytest

from .server import REPOSITORY, free_port
from .upstream import Upstream, answer
from .wait import eventually


class Origin:
    """A server as a process, from `with` to the end of it. Each request is a line of `log`."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "requests.log"

    def __enter__(self):
        if not shutil.which(self.program):
            pytest.skip(f"{self.program} is not installed")
        with self.log.open("wb") as out, (self.folder / "errors.log").open("wb") as err:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        assert eventually(self._is_there, 10.0), (self.folder / "errors.log").read_text()[-1000:]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)

    def lines(self):
        """What it has read, as `method target`; and what was no request."""
        lines = [json.loads(line) for line in self.log.read_text(errors="replace").splitlines()]
        return [f"{it['method']} {it['target']}" if it.get("method") else f"garbage: {it}" for it in lines]

    def _is_there(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True


class Nginx(Origin):
    """nginx, with an access log."""

    program = "nginx"

    def command(self):
        (self.folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {self.folder}/nginx.pid; error_log {self.folder}/errors.log;
events {{ worker_connections 512; }}
http {{
    log_format told escape=json '{{"method":"$request_method","target":"$request_uri","line":"$request"}}';
    access_log {self.log} told;
    client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/fastcgi; uwsgi_temp_path {self.folder}/uwsgi; scgi_temp_path {self.folder}/scgi;
    large_client_header_buffers 8 64k; client_max_body_size 64m; keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{self.port} backlog=512;
        location / {{ return 200 "$request_method $request_uri"; }}
    }}
}}
""")
        return ["nginx", "-c", self.folder / "nginx.conf", "-p", self.folder]


class NodeServer(Origin):
    """The `http` of Node.js."""

    program = "node"

    def command(self):
        return ["node", REPOSITORY / "conformance/smuggling/server.mjs", str(self.port)]


class ByHand:
    """The harness's own upstream, told of in the same words."""

    def __init__(self, _):
        self.upstream, self.told = Upstream(lambda it, _: answer(body=_line(it).encode("latin-1"))), []
        self.upstream.asked = Noting(lambda it: self.told.append(_line(it)))
        # Of a request whose body is broken off it keeps nothing else.
        self.upstream.garbage = Noting(lambda it: self.told.append(
            "broken off" if it == b"a body that ends early" else f"garbage: {it}"))

    def __enter__(self):
        self.upstream.start()
        self.url = self.upstream.url
        return self

    def __exit__(self, *_):
        self.upstream.stop()

    def lines(self):
        """As `Origin.lines`."""
        return list(self.told)


class Noting(list):
    """A list that tells what is put at its end."""

    def __init__(self, note):
        super().__init__()
        self.append = note


def _line(request):
    return f"{request.method} {request.target}"

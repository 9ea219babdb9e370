"""The admin API is what its own document says, whoever asks it what."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import Peer
from harness.peer import request

FOREIGN = Path(sys.executable).with_name("schemathesis")
# Streams without end, and the end of the process.
NOT_TRIED = ["/events", "/drain"]


def test_everything_in_the_document_answers_and_nothing_else_does(serve):
    with serve() as server:
        document = server.json("/openapi.json")
        assert document["openapi"].startswith("3.1")
        for path, operations in document["paths"].items():
            asked = path.replace("{listener}/{protocol}", "web/http").replace("{id}", "0")
            for method in ("get", "patch", "post", "delete", "put"):
                if (method, path) in (("get", "/events"), ("post", "/drain")):
                    continue
                status, headers, _ = server.write(asked, method.upper())
                if method in operations:
                    assert str(status) in operations[method]["responses"], (method, path, status)
                else:
                    assert status == 405, (method, path, status)
                    allowed = {name.lower() for name in headers["allow"].split(",")}
                    assert allowed - {"head"} == set(operations), (path, allowed)
        for path in ("/nothing", "/pools/", "/pools/web", "/config/", "/../etc/passwd", "//pools",
                     "/pools/..%2f..%2fetc%2fpasswd/http", "/%2e%2e/%2e%2e/etc/passwd"):
            assert server.ask(path)[0] == 404, path


@pytest.mark.parametrize("tried", [20, pytest.param(500, marks=pytest.mark.long)])
def test_schemathesis_finds_nothing_that_is_not_in_the_document(serve, tried):
    with serve(log={"access": False}) as server, Peer(server.address) as peer:
        assert peer.request().status == 200
        arguments = ["--header", "x-wharf-admin: 1", "--max-examples", str(tried), "--no-color",
                     "--generation-deterministic", "--warnings", "off",
                     # A schema does not say which ranges of addresses there are.
                     "--exclude-checks", "positive_data_acceptance"]
        for path in NOT_TRIED:
            arguments += ["--exclude-path", path]
        url = "http://%s:%d/openapi.json" % server.admin
        run = subprocess.run(
            [FOREIGN, "run", url, *arguments], cwd=server.folder, capture_output=True, text=True,
            timeout=600, env=os.environ | {"SCHEMATHESIS_HOOKS": ""}, check=False,
        )
        assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-1000:]
        with Peer(server.address) as again:
            assert again.request().status == 200


def test_a_megabyte_and_a_slow_client_harm_nobody(serve):
    with serve() as server:
        for path in ("/pools/web/http", "/reload", "/drain/x"):
            with Peer(server.admin) as large:
                try:
                    large.send(request(path, "PATCH", "x-wharf-admin: 1\r\n", b"x" * (1 << 20)))
                    assert large.response().status in (404, 405, 413), path
                except ConnectionError:
                    pass  # It need not hear us out.
        slow = [Peer(server.admin) for _ in range(100)]
        for peer in slow:
            peer.send("GET /pools HTTP/1.1\r\nHost: local")
        for _ in range(20):
            status, _, body = server.ask("/pools", within=1.0)
            assert status == 200 and json.loads(body)["pools"]
        for peer in slow:
            peer.close()

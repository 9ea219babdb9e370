"""The configuration changes under load: whole or not at all, and nobody who is served notices."""

import json
import os
import random
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from harness import (
    Peer, connect_many, eventually, free_port, get, resident_bytes,
)

QUIET = {"access": False}

# Files that are no configuration, each in a way of its own; {} is the text of a good one.
BROKEN = {
    "unknown key": "{}\nmax_conections = 5\n",
    "no TOML": "{}\n[[[\n",
    "a bare number": "[server]\ndrain_timeout = 30\n{}",
    "cut": "[[listener]]\nname = ",
    "empty": "",
    "no listener": "[server]\nworkers = 2\n",
    "bytes": "\x00\x01\x02 {}",
    "a port that is taken": "{}\n[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:TAKEN\"\n"
                            "protocols = [\"http\"]\n",
    "two of a name": "{}\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:1\"\nprotocols = [\"http\"]\n",
    "an unknown protocol": "{}\n[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:1\"\nprotocols = [\"x\"]\n",
}


def replace(server, text):
    """Puts a new file in the place of the old one, as an editor or a deployment does."""
    new = server.file.with_name("new")
    new.write_text(text)
    os.replace(new, server.file)


def settings(server):
    return server.json("/pools/web/http")["config"]


def reloads(server):
    return server.metrics().by("wharf_config_reloads_total", "result")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_and_the_old_one_goes_on(serve, name):
    with serve({"max_connections": 5}) as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        before, port = settings(server), taken.getsockname()[1]
        replace(server, BROKEN[name].replace("TAKEN", str(port)).replace("{}", server.text()))
        began = time.monotonic()
        status, headers, body = server.write("/reload", "POST")
        assert time.monotonic() - began < 1
        assert status == 422 and headers["content-type"].startswith("application/problem+json")
        for error in json.loads(body)["errors"]:
            assert error["reason"] and error["remedy"] and error["line"] >= 1, error
        assert settings(server) == before
        assert server.json("/health")["config"]["status"] == "rejected"
        with Peer(server.address) as peer:
            assert peer.request().status == 200


@pytest.mark.parametrize("mutations", [300, pytest.param(2000, marks=pytest.mark.long)])
def test_a_file_cut_at_every_byte_and_random_changes_of_it(serve, mutations):
    chance = random.Random(mutations)
    with serve({"max_connections": 5, "keep_alive_timeout": "60s"}) as server:
        good = server.text().encode()
        variants = [good[:n] for n in range(len(good))]
        for _ in range(mutations):
            bad = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            variants.append(bytes(bad))
        slowest, own = 0.0, ("127.0.0.1:%d" % server.admin[1]).encode()
        for variant in variants:
            new = server.file.with_name("new")
            new.write_bytes(variant)
            os.replace(new, server.file)
            began = time.monotonic()
            status, _, body = server.write("/reload", "POST")
            slowest = max(slowest, time.monotonic() - began)
            assert status in (200, 422), (variant, body)
            if status == 422:
                for error in json.loads(body)["errors"]:
                    assert error["reason"] and error["remedy"] and error["line"] >= 1, error
        assert slowest < 1 and own in good
        replace(server, good.decode())
        assert server.write("/reload", "POST")[0] == 200
        with Peer(server.address) as peer:
            assert peer.request().status == 200


NO_FILES = ["directory", "pipe", "gigabyte", "loop", "nothing", "device"]


@pytest.mark.parametrize("name", NO_FILES)
def test_what_cannot_be_read_is_refused_at_once(serve, name):
    with serve() as server:
        server.file.unlink()
        if name == "directory":
            server.file.mkdir()
        elif name == "pipe":
            os.mkfifo(server.file)
        elif name == "gigabyte":
            with server.file.open("wb") as file:
                file.truncate(1 << 30)
        elif name == "loop":
            server.file.symlink_to(server.file)
        elif name == "device":
            server.file.symlink_to("/dev/zero")
        size, began = resident_bytes(server.pid), time.monotonic()
        status, _, body = server.write("/reload", "POST")
        assert time.monotonic() - began < 1
        assert status == 422 and json.loads(body)["errors"][0]["reason"], body
        assert resident_bytes(server.pid) - size < 4 << 20
        with Peer(server.address) as peer:
            assert peer.request().status == 200


def test_a_file_without_permission_is_refused(serve):
    # Root may read everything, unless it has given that up for good.
    with serve(may_read_all=False) as server:
        server.file.chmod(0)
        began = time.monotonic()
        status, _, body = server.write("/reload", "POST")
        assert time.monotonic() - began < 1
        assert status == 422 and b"ermission" in json.loads(body)["errors"][0]["reason"].encode()
        with Peer(server.address) as peer:
            assert peer.request().status == 200
        server.file.chmod(stat.S_IRUSR)
        assert server.write("/reload", "POST")[0] == 200


def test_a_write_is_noticed_within_two_seconds(serve):
    with serve({"max_connections": 5}) as server:
        good = server.text()
        for n in range(6, 10):
            replace(server, good.replace("max_connections = 5", f"max_connections = {n}"))
            assert eventually(lambda: settings(server)["max_connections"] == n, 2.5)
        sources = {entry["source"] for entry in server.json("/config/history")["changes"]}
        assert sources == {"start", "file"}


def test_a_mounted_folder_is_noticed_when_its_link_is_turned(serve):
    with serve({"max_connections": 5}) as server:
        good = server.text()
        for n in (6, 7, 8):
            version = server.folder / f"..version-{n}"
            version.mkdir()
            text = good.replace("max_connections = 5", f"max_connections = {n}")
            (version / "wharf.toml").write_text(text)
            new = server.folder / "..data_tmp"
            new.symlink_to(version.name)
            os.replace(new, server.folder / "..data")
            if n == 6:
                new.symlink_to("..data/wharf.toml")
                os.replace(new, server.file)
            assert eventually(lambda: settings(server)["max_connections"] == n, 3.0)


def test_a_slow_writer_is_waited_for(serve):
    with serve({"max_connections": 5}) as server:
        text = server.text().replace("max_connections = 5", "max_connections = 6") + "max_age = \"1h\"\n"
        with server.file.open("w") as file:
            for line in text.splitlines(keepends=True):
                file.write(line)
                file.flush()
                time.sleep(0.02)
        assert eventually(lambda: settings(server)["max_connections"] == 6, 3.0)
        assert settings(server)["max_age"] == "3600s"
        assert "rejected" not in reloads(server)


def test_a_patch_is_undone_by_the_next_reload_which_says_so(serve):
    with serve({"max_connections": 5}) as server:
        assert server.write("/pools/web/http", "PATCH", {"max_connections": 9})[0] == 200
        (deviation,) = server.json("/config")["not_as_in_file"]
        assert (deviation["file"], deviation["in_force"]) == (5, 9)
        status, _, body = server.write("/reload", "POST")
        (change,) = json.loads(body)["diff"]
        assert status == 200 and change["undoes_patch"] is True
        assert (change["old"], change["new"]) == (9, 5)
        assert settings(server)["max_connections"] == 5
        assert server.json("/config")["not_as_in_file"] == []


def test_a_listener_that_is_removed_finishes_what_it_has(serve):
    with serve() as server:
        good, port = server.text(), free_port()
        other = ("127.0.0.1", port)
        replace(server, good + '[[listener]]\nname = "b"\naddress = "127.0.0.1:%d"\n'
                               'protocols = ["http"]\n' % port)
        assert server.write("/reload", "POST")[0] == 200
        with Peer(other) as idle, Peer(other) as busy, Peer(server.address) as stays:
            assert idle.request().status == 200 and stays.request().status == 200
            busy.send(get("/slow?ms=1500"))
            assert eventually(lambda: server.in_flight() == 1)
            replace(server, good)
            assert server.write("/reload", "POST")[0] == 200
            response = busy.response()
            assert response.status == 200 and response.says_close
            assert idle.closed(5).how == "fin"
            assert not stays.request().says_close
            assert eventually(lambda: len(server.json("/pools")["pools"]) == 1)
            with pytest.raises(ConnectionRefusedError):
                Peer(other)


@pytest.mark.heavy
@pytest.mark.parametrize("settled", [True, False], ids=["long idle", "just idle"])
def test_a_lower_limit_takes_the_idle_and_cuts_no_request(serve, settled):
    with serve({"max_connections": 1000, "when_full": "reclaim"}, log=QUIET) as server:
        low = server.text().replace("max_connections = 1000", "max_connections = 10")
        high = server.text()
        idle, busy = [Peer(server.address) for _ in range(500)], []
        for peer in idle:
            assert peer.request().status == 200
        for _ in range(500):
            peer = Peer(server.address, timeout=30)
            peer.send(get("/slow?ms=6000"))
            busy.append(peer)
        assert eventually(lambda: server.in_flight() == 500, 5.0)
        if settled:
            time.sleep(1.1)
        else:
            for peer in idle:
                assert peer.request().status == 200
        replace(server, low)
        lowered = time.monotonic()
        assert server.write("/reload", "POST")[0] == 200
        assert eventually(lambda: server.sockets() == 500, 3.0), server.active()
        assert time.monotonic() - lowered < 1, "idle ones were there for too long"
        assert server.active() == 500
        with Peer(server.address) as late:
            assert late.response().status == 503
        for peer in busy:
            assert peer.response(within=15).status == 200
        for peer in idle + busy:
            peer.close()
        closed = server.metrics().by("wharf_connections_closed_total", "reason")
        assert set(closed) <= {"reclaimed", "client_closed", "completed"}, closed
        replace(server, high)
        assert server.write("/reload", "POST")[0] == 200
        raised = time.monotonic()
        with Peer(server.address) as first:
            assert first.request().status == 200
            assert time.monotonic() - raised < 0.05
        fresh = [Peer(server.address) for _ in range(50)]
        assert all(peer.request().status == 200 for peer in fresh)
        for peer in fresh:
            peer.close()


@pytest.mark.heavy
def test_a_raised_limit_lets_in_at_once(serve):
    with serve({"max_connections": 1, "when_full": "wait", "queue_timeout": "20s"}) as server:
        with Peer(server.address) as holder, Peer(server.address) as waits:
            assert holder.request().status == 200
            waits.send(get())
            time.sleep(0.3)
            assert not waits.buffer and server.active() == 1
            began = time.monotonic()
            assert server.write("/pools/web/http", "PATCH", {"max_connections": 2})[0] == 200
            raised = time.monotonic()
            assert waits.response().status == 200
            assert time.monotonic() - raised < 0.05, (raised - began, time.monotonic() - raised)


def test_what_needs_a_restart_says_so(serve):
    with serve(server={"workers": 1}) as server:
        replace(server, server.text().replace("workers = 1", "workers = 2"))
        status, _, body = server.write("/reload", "POST")
        (change,) = json.loads(body)["diff"]
        assert (status, change["key"], change["effect"]) == (200, "server.workers", "restart")
        shown = server.json("/config")
        assert shown["config"]["server"]["workers"] == 1
        assert [entry["until"] for entry in shown["not_as_in_file"]] == ["restart"]


def test_the_history_is_bounded_and_its_ids_are_not_used_again(serve):
    with serve({"max_connections": 5}) as server:
        for n in range(30):
            assert server.write("/pools/web/http", "PATCH", {"max_connections": 6 + n})[0] == 200
        changes = server.json("/config/history")["changes"]
        assert len(changes) == 20
        assert [int(change["id"]) for change in changes] == list(range(31, 11, -1))
        assert all(change["source"] == "api_patch" and change["at"] for change in changes)


def test_no_secret_is_in_any_dump_or_log(serve, tmp_path):
    secret = "canary-4711-not-to-be-seen"
    (tmp_path / "token").write_text(secret)
    with serve(admin={"token_file": "token"}) as server:
        bearer = {"Authorization": f"Bearer {secret}"}
        for path in ("/config", "/config/history", "/health", "/pools", "/metrics", "/openapi.json"):
            status, _, body = server.ask(path, headers=bearer)
            assert status == 200 and secret.encode() not in body, path
        (tmp_path / "token").write_text("short")
        status, _, body = server.ask("/reload", "POST", bearer | {"x-wharf-admin": "1"})
        assert status == 422 and secret.encode() not in body
        assert secret not in server.errors() + server.stdout.read_text()


def test_many_signals_at_once_are_one_or_more_reloads(serve):
    with serve({"max_connections": 5}) as server:
        replace(server, server.text().replace("max_connections = 5", "max_connections = 6"))
        for _ in range(20):
            subprocess.run(["kill", "-HUP", str(server.pid)], check=True)
        assert eventually(lambda: settings(server)["max_connections"] == 6)
        with connect_many(server.address, 5, get()) as crowd:
            crowd.serve(2, lambda: len(crowd.answered(200)) == 5)
            assert len(crowd.answered(200)) == 5

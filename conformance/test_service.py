"""The process as a service: what systemd is told, the sockets that it hands in, and the files of `deploy/`."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from harness import REPOSITORY, Notified, Peer, binary, eventually, free_port

DEPLOY = REPOSITORY / "deploy"
UNIT = DEPLOY / "systemd/wharf.service"
ADMIN = {"x-wharf-admin": "1"}


@contextmanager
def started(folder, environment, more="", workers=2, linger="0s", command=(), inherits=None, address=None):
    """`wharf serve` in an environment of its own: the process, its listener's address, its admin address."""
    address = address or ("127.0.0.1", free_port())
    admin = ("127.0.0.1", free_port())
    file = folder / "wharf.toml"
    file.write_text(f'[server]\nworkers = {workers}\ndrain_linger = "{linger}"\n{more}\n[admin]\naddress = "%s:%d"\n'
                    '[[listener]]\nname = "web"\naddress = "%s:%d"\nprotocols = ["http"]\n' % (*admin, *address))
    with (folder / "stderr.log").open("wb") as log:
        process = subprocess.Popen([*command, binary(), "serve", "--config", file], cwd=folder, stdout=log, stderr=log,
                                   env=environment, stdin=subprocess.DEVNULL, preexec_fn=inherits,
                                   close_fds=inherits is None)
    try:
        yield process, address, admin
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def told(folder):
    return (folder / "stderr.log").read_text(errors="replace")


def ask(address, path, method="GET", headers=None):
    """The status of an answer."""
    connection = http.client.HTTPConnection(*address, timeout=5)
    try:
        connection.request(method, path, headers=headers or {})
        return connection.getresponse().status
    finally:
        connection.close()


# sd_notify.


def test_the_service_manager_is_told_of_start_reload_and_end(tmp_path):
    with Notified(tmp_path) as manager, started(tmp_path, manager.environment) as (process, address, _):
        assert manager.hears("READY=1"), told(tmp_path)
        with Peer(address) as peer:
            assert peer.request().status == 200
        process.send_signal(signal.SIGHUP)
        assert manager.hears("RELOADING=1") and manager.hears("READY=1", times=2)
        assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in manager.lines())
        process.send_signal(signal.SIGTERM)
        assert manager.hears("STOPPING=1")
        assert process.wait(10) == 0
        states = [line for line in manager.lines() if re.match("READY|RELOADING|STOPPING", line)]
        assert states == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
        assert "WATCHDOG=1" not in manager.lines(), "nobody asked for it"


def test_what_does_not_start_never_says_that_it_is_ready(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, Notified(tmp_path) as manager:
        with started(tmp_path, manager.environment, address=taken.getsockname()) as (process, *_):
            assert process.wait(10) == 1
        assert manager.lines() == []


def test_the_watchdog_hears_of_the_workers_and_not_where_all_are_blocked(tmp_path):
    with Notified(tmp_path, watchdog=0.4) as manager:
        with started(tmp_path, manager.environment, workers=1) as (_, address, admin):
            assert manager.hears("READY=1") and manager.hears("WATCHDOG=1", times=5)
            with Peer(address) as peer:
                peer.send("GET /block?ms=5000 HTTP/1.1\r\nHost: t\r\n\r\n")
                # From here on its only worker does nothing else.
                assert eventually(lambda: _silent(manager, 1.0), 5.0)
                assert ask(admin, "/live") == 200, "the process itself is there"
                before = manager.lines().count("WATCHDOG=1")
                assert peer.response(within=15).status == 200
                assert manager.hears("WATCHDOG=1", times=before + 2)


def _silent(manager, seconds):
    """Whether nothing is told for so long."""
    before = len(manager.lines())
    return not eventually(lambda: len(manager.lines()) > before, seconds)


def test_a_watchdog_of_another_process_is_not_fed(tmp_path):
    with Notified(tmp_path, watchdog=0.1) as manager:
        environment = manager.environment | {"WATCHDOG_PID": str(os.getpid())}
        with started(tmp_path, environment):
            assert manager.hears("READY=1")
            assert not manager.hears("WATCHDOG=1", within=0.5)


# Sockets that are handed in.


@contextmanager
def activated(folder, names, sockets, address, linger="0s"):
    """A process that got these sockets from number 3 on, as systemd does it."""
    def inherit():
        # Out of the way first: one of them may be where another has to go.
        high = [os.dup2(it.fileno(), 200 + n) for n, it in enumerate(sockets)]
        for number, it in enumerate(high, 3):
            os.dup2(it, number)
        os.closerange(3 + len(sockets), 300)

    # The process's own number has to be in its environment: a shell knows it, and becomes the process.
    script = 'LISTEN_PID=$$ exec "$@"'
    environment = os.environ | {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": ":".join(names)}
    with started(folder, environment, linger=linger, command=("sh", "-c", script, "sh"), inherits=inherit,
                 address=address) as parts:
        yield parts


def test_a_socket_that_is_handed_in_is_the_listener_and_stays_over_reloads_and_restarts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = held.getsockname()
        # Nobody serves yet, and nobody is refused.
        with Peer(address) as early:
            early.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
            with activated(tmp_path, ["web"], [held], address) as (process, _, admin):
                assert early.response(within=10).status == 200
                file = tmp_path / "wharf.toml"
                file.write_text(file.read_text().replace('protocols = ["http"]',
                                                         'protocols = ["http", "http2"]\nbacklog = 64'))
                assert ask(admin, "/reload", "POST", ADMIN) == 200
                assert early.request().status == 200, "it stays open"
                with Peer(address) as later:
                    assert later.request().status == 200
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
        with Peer(address) as between:
            between.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
            with activated(tmp_path, ["web"], [held], address):
                assert between.response(within=10).status == 200, "it has waited in the backlog"


@pytest.mark.heavy
def test_no_newcomer_is_lost_between_one_process_and_the_next(tmp_path):
    over, failed, served = threading.Event(), [], []

    def come_and_go(address):
        while not over.is_set():
            try:
                with Peer(address, timeout=30) as peer:
                    served.append(peer.request(headers="Connection: close\r\n").status)
            except (OSError, EOFError, AssertionError, IndexError) as error:
                failed.append(repr(error))

    with socket.create_server(("127.0.0.1", 0), backlog=128) as held:
        address = held.getsockname()
        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(come_and_go, address)
            try:
                for _ in range(3):
                    before = len(served)
                    with activated(tmp_path, ["web"], [held], address, "1500ms") as (process, *_):
                        assert eventually(lambda: len(served) > before + 50, 20.0), told(tmp_path)
                        process.send_signal(signal.SIGTERM)
                        assert process.wait(30) == 0
            finally:
                with activated(tmp_path, ["web"], [held], address):
                    over.set()
                    pool.shutdown(wait=True)
    assert not failed and set(served) == {200}, failed[:5]


@pytest.mark.parametrize("names, wanted", [(["wob"], "wob"), (["web", "web"], "web"), ([], "unknown")])
def test_a_socket_that_nobody_would_serve_is_refused(tmp_path, names, wanted):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        sockets = [one, two][:len(names) or 1]
        with activated(tmp_path, names, sockets, one.getsockname()) as (process, *_):
            assert process.wait(10) == 1
        assert wanted in told(tmp_path) and "handed in" in told(tmp_path)


def test_a_socket_on_another_address_than_the_files_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        with activated(tmp_path, ["web"], [held], ("127.0.0.1", free_port())) as (process, *_):
            assert process.wait(10) == 1
        assert str(held.getsockname()[1]) in told(tmp_path)


def test_what_is_no_listening_socket_is_refused(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        with activated(tmp_path, ["web"], [held], ("127.0.0.1", free_port())) as (process, *_):
            assert process.wait(10) == 1
        assert "no listening TCP socket" in told(tmp_path)


def test_sockets_of_another_process_are_left_alone(tmp_path):
    environment = os.environ | {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "web"}
    with started(tmp_path, environment) as (_, address, _):
        assert eventually(lambda: _answers(address), 10), told(tmp_path)


def _answers(address):
    try:
        return ask(address, "/hello") == 200
    except OSError:
        return False


def test_systemds_own_activation_starts_it_with_the_first_connection(tmp_path):
    tool = shutil.which("systemd-socket-activate")
    assert tool, "systemd-socket-activate is not installed: apt-get install systemd"
    port = free_port()
    command = (tool, "--fdname=web", f"--listen=127.0.0.1:{port}")
    with started(tmp_path, dict(os.environ), command=command, address=("127.0.0.1", port)) as (_, address, _):
        assert eventually(lambda: _answers(address), 10), told(tmp_path)


# The files of deploy/.


def systemd_analyze(*arguments):
    assert shutil.which("systemd-analyze"), "systemd-analyze is not installed: apt-get install systemd"
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def unit(tmp_path):
    """The unit as it is, but with the binary of this test."""
    (tmp_path / "wharf.service").write_text(UNIT.read_text().replace("/usr/bin/wharf", str(binary())))
    shutil.copy(DEPLOY / "systemd/wharf-web.socket", tmp_path)
    return tmp_path


def test_systemd_takes_the_units(unit):
    ran = systemd_analyze("verify", "--man=no", unit / "wharf.service", unit / "wharf-web.socket")
    assert ran.returncode == 0 and "wharf" not in ran.stderr, ran.stderr


def test_the_unit_exposes_little(unit):
    ran = systemd_analyze("security", "--offline=yes", "--threshold=20", "--no-pager", unit / "wharf.service")
    assert ran.returncode == 0, ran.stdout[-300:]


def seconds(text):
    """A duration of ours or systemd's."""
    amount, kind = re.fullmatch(r"(\d+)(ms|s|m|min)?", text).groups()
    return int(amount) * {"ms": 0.001, "m": 60, "min": 60}.get(kind, 1)


def drain_of(text):
    """What a drain of that configuration takes at most, with what it may be over its time."""
    found = dict(re.findall(r'(drain_delay|drain_timeout) = "(\w+)"', text))
    return seconds(found.get("drain_delay", "0s")) + seconds(found.get("drain_timeout", "30s")) + 5


def test_nobody_ends_the_process_before_its_drain_is_over():
    stop = re.search(r"^TimeoutStopSec=(\w+)", UNIT.read_text(), re.M)
    assert seconds(stop[1]) > drain_of((DEPLOY / "debian/wharf.toml").read_text())
    (pod,) = [it["spec"]["template"]["spec"] for it in manifests() if it["kind"] == "Deployment"]
    wait = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= wait + drain_of(configuration())


@pytest.mark.parametrize("file", ["debian/wharf.toml", "docker/wharf.toml"])
def test_the_configurations_that_are_shipped_are_right(file):
    ran = subprocess.run([binary(), "check", DEPLOY / file], capture_output=True, text=True, timeout=10, check=False)
    assert ran.returncode == 0, ran.stderr


def manifests():
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/wharf.yaml").read_text()))


def configuration():
    (config,) = [it["data"]["wharf.toml"] for it in manifests() if it["kind"] == "ConfigMap"]
    return config


def test_kubernetes_takes_the_manifests():
    for manifest in manifests():
        kubernetes_validate.validate(manifest, "1.32", strict=True)


def test_the_pod_is_what_its_configuration_says(tmp_path):
    (pod,) = [it["spec"]["template"]["spec"] for it in manifests() if it["kind"] == "Deployment"]
    container, text = pod["containers"][0], configuration()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert f'"0.0.0.0:{ports["admin"]}"' in text and f'"0.0.0.0:{ports["web"]}"' in text
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert any(text.count(f'"{mount}/') for mount in mounts), "the token is where it is mounted"
    # With the token where the test may write, and on ports of its own, it starts, and the probes need no token.
    (tmp_path / "token").write_text("a-token-of-the-test")
    web, admin = free_port(), free_port()
    text = text.replace("/run/secrets/wharf/token", "token").replace(":8080", f":{web}").replace(":9900", f":{admin}")
    (tmp_path / "wharf.toml").write_text(text)
    with (tmp_path / "stderr.log").open("wb") as log:
        process = subprocess.Popen([binary(), *container["args"][:1], "--config", "wharf.toml"], cwd=tmp_path,
                                   stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        assert eventually(lambda: _answers(("127.0.0.1", web)), 10), told(tmp_path)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert ask(("127.0.0.1", admin), container[probe]["httpGet"]["path"]) == 200
        assert ask(("127.0.0.1", admin), "/metrics") == 401
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: ask(("127.0.0.1", admin), "/ready") == 503, 3)
        with Peer(("127.0.0.1", web)) as newcomer:
            assert newcomer.request().status == 200, "while balancers have not noticed"
    finally:
        process.kill()
        process.wait(10)


def test_the_image_is_made_of_what_is_there():
    text = (DEPLOY / "docker/Dockerfile").read_text()
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.M):
        assert (REPOSITORY / source).exists(), source
    minimum = re.search(r'rust-version = "([\d.]+)"', (REPOSITORY / "Cargo.toml").read_text())[1]
    assert f"FROM rust:{minimum}-bookworm AS build" in text
    kept = re.findall(r"^!(\S+)", (DEPLOY / "docker/Dockerfile.dockerignore").read_text(), re.M)
    assert all((REPOSITORY / path).exists() for path in kept)
    assert '"serve", "--config", "/etc/wharf/wharf.toml"' in text
    hadolint = Path(sys.executable).parent / "hadolint"
    ran = subprocess.run([hadolint, DEPLOY / "docker/Dockerfile"], capture_output=True, text=True, timeout=60,
                         check=False)
    assert ran.returncode == 0, ran.stdout


# The command line's own papers.


def test_every_command_has_a_manual_page_that_man_can_show():
    help_ = subprocess.run([binary(), "--help"], capture_output=True, text=True, timeout=10, check=True).stdout
    commands = re.findall(r"^  (\w+)  ", help_.split("Commands:")[1].split("Options:")[0], re.M)
    assert {"serve", "check", "config", "top", "man", "completions"} <= set(commands)
    for command in [None, *commands]:
        page = subprocess.run([binary(), "man", *([command] if command else [])], capture_output=True, text=True,
                              timeout=10, check=True).stdout
        shown = subprocess.run(["man", "--warnings", "-l", "-"], input=page, capture_output=True, text=True,
                               timeout=20, check=False, env=os.environ | {"MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
        assert shown.returncode == 0 and not shown.stderr, shown.stderr
        assert "NAME" in shown.stdout and (command or "SUBCOMMANDS") in shown.stdout
    assert subprocess.run([binary(), "man", "nothing"], capture_output=True, timeout=10, check=False).returncode == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_every_shell_gets_its_completions(shell, tmp_path):
    ran = subprocess.run([binary(), "completions", shell], capture_output=True, text=True, timeout=10, check=True)
    assert re.search(r"(-l )?(--)?config", ran.stdout) and "serve" in ran.stdout
    if shutil.which(shell) and shell in ("bash", "zsh", "fish"):
        script = tmp_path / "wharf"
        script.write_text(ran.stdout)
        assert subprocess.run([shell, "-n", script], timeout=10, check=False).returncode == 0


def test_bash_completes_commands_and_flags(tmp_path):
    script = tmp_path / "wharf.bash"
    script.write_text(subprocess.run([binary(), "completions", "bash"], capture_output=True, text=True, timeout=10,
                                     check=True).stdout)

    def completed(*words):
        ask = f'. {script}; COMP_WORDS=({" ".join(words)} ""); COMP_CWORD={len(words)}; _wharf wharf "" ' \
              f'{words[-1]}; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=10, check=False).stdout.split()

    assert {"serve", "check", "top"} <= set(completed("wharf"))
    assert "--config" in completed("wharf", "serve")

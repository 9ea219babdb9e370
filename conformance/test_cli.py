"""The command line: a demo without a file, files that are wrong, and addresses that are taken."""

import re
import signal
import socket
import subprocess
import time

import pytest

from harness import Peer, StartFailed, binary, eventually, free_port

ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


def run(*arguments, cwd=None, within=10):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=within,
                          cwd=cwd, stdin=subprocess.DEVNULL, check=False)


class Demo:
    """`wharf` without arguments."""

    def __init__(self, folder):
        self.output = folder / "demo.log"

    def __enter__(self):
        with self.output.open("wb") as out:
            self.process = subprocess.Popen([binary()], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, cwd=self.output.parent)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def text(self):
        return self.output.read_text(errors="replace")

    def ports(self):
        """The ports that it names, in order."""
        return list(dict.fromkeys(int(port) for port in ADDRESS.findall(self.text())))

    def web(self):
        """A port that answers /hello as the contract has it."""
        for port in self.ports():
            try:
                with Peer(("127.0.0.1", port), timeout=2) as peer:
                    answer = peer.request()
            except (OSError, EOFError):
                continue
            if answer.status == 200 and answer.body == b"Hello, World!":
                return port
        return None


@pytest.mark.heavy
def test_the_demo_answers_without_a_file_and_ends_with_ctrl_c(tmp_path):
    with Demo(tmp_path) as demo:
        port = eventually(demo.web, 5.0, every=0.1)
        assert port, demo.text()
        with Peer(("127.0.0.1", port)) as peer:
            answer = peer.request()
            assert (answer.status, answer.body) == (200, b"Hello, World!")
            assert answer.headers["content-length"] == "13"
            assert answer.headers["content-type"].startswith("text/plain")
            assert peer.request("/echo", "POST", body=b"abc").body == b"abc"
            assert peer.request("/bytes?n=1000").headers["content-length"] == "1000"
            assert peer.request("/").headers["content-type"].startswith("text/html")
            assert peer.request("/hello", "HEAD").headers["content-length"] == "13"
            began = time.monotonic()
            assert peer.request("/slow?ms=300").status == 200
            assert time.monotonic() - began >= 0.3
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(5) == 0


@pytest.mark.heavy
def test_a_second_demo_takes_the_next_free_port(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    with Demo(tmp_path / "1") as first, Demo(tmp_path / "2") as second:
        ports = [eventually(demo.web, 5.0, every=0.1) for demo in (first, second)]
        assert all(ports) and ports[0] != ports[1], first.text() + second.text()


GOOD = """
[admin]
address = "127.0.0.1:9900"
[[listener]]
name = "web"
address = "127.0.0.1:8080"
protocols = ["http"]
"""

# name → (file, line, column or None, key, word of the reason or remedy)
BROKEN = {
    "an unknown key": (GOOD + "max_conections = 5\n", 8, 1, "max_conections", "max_connections"),
    "an unknown section": ("[sever]\n" + GOOD, 1, None, "sever", "server"),
    "a bare number for a duration": (
        GOOD + "[listener.pools.http]\nkeep_alive_timeout = 5\n", 9, None,
        "keep_alive_timeout", "s\""),
    "a duration without a unit": (
        GOOD + '[listener.pools.http]\nkeep_alive_timeout = "5"\n', 9, None,
        "keep_alive_timeout", "s\""),
    "a bare number for a size": (
        GOOD + "[listener.pools.http]\nmax_header_size = 1000\n", 9, None,
        "max_header_size", "KiB"),
    "a zero limit": (
        GOOD + "[listener.pools.http]\nmax_connections = 0\n", 9, None, "max_connections", "1"),
    "a negative limit": (
        GOOD + "[listener.pools.http]\nmax_connections = -5\n", 9, None, "max_connections", "1"),
    "a word that is none": (
        GOOD + '[listener.pools.http]\nwhen_full = "explode"\n', 9, None, "when_full", "reclaim"),
    "a key of another protocol": (
        GOOD + "[listener.pools.http]\nmax_concurrent_streams = 5\n", 9, 1,
        "max_concurrent_streams", "it is one of http2"),
    "a protocol that is none": (
        GOOD.replace('["http"]', '["htpp"]'), 7, None, "protocols", "http"),
    "an address without a port": (
        GOOD.replace("127.0.0.1:8080", "127.0.0.1"), 6, None, "address", "port"),
    "an admin door for everybody without a token": (
        GOOD.replace("127.0.0.1:9900", "0.0.0.0:9900"), 2, None, "admin", "token_file"),
    "a listener without a name": (
        GOOD.replace('name = "web"\n', ""), 4, None, "name", "name"),
    "two listeners of one name": (
        GOOD + '[[listener]]\nname = "web"\naddress = "127.0.0.1:8081"\nprotocols = ["http"]\n',
        8, None, "name", "web"),
    "two listeners of one address": (
        GOOD + '[[listener]]\nname = "two"\naddress = "127.0.0.1:8080"\nprotocols = ["http"]\n',
        8, None, "address", "web"),
    "a name with a space": (GOOD.replace('"web"', '"my web"'), 5, None, "name", "a-z"),
    "no TOML": (GOOD + "this is not\n", 8, None, "", ""),
    "a string that does not end": (GOOD + 'backlog = "5\n', 8, None, "backlog", "toml.io"),
    "a key twice": (GOOD + "backlog = 5\nbacklog = 6\n", 9, 1, "backlog", "one of the two"),
    "a section twice": (GOOD + "[log]\n[log]\n", 9, 2, "log", "one of the two"),
    "a route to an upstream that is none": (
        GOOD + '[[route]]\npath = "/"\nupstream = "nowhere"\n', 10, 12, "route[0].upstream",
        'name = "nowhere"'),
    "an upstream without endpoints": (
        GOOD + '[[upstream]]\nname = "api"\n', 8, None, "upstream[0].endpoints", "http://"),
    "an upstream with the name of a listener": (
        GOOD + '[[upstream]]\nname = "web"\nendpoints = ["http://a"]\n', 9, 8, "upstream[0].name", "its own name"),
    "a size in another unit": (
        GOOD + '[listener.pools.http]\nmax_target = "8 apples"\n', 9, 14, "pools.http.max_target", "KiB"),
    "a rate without a unit": (
        GOOD + "[pools.http]\nmin_data_rate = 240\n", 9, 17, "pools.http.min_data_rate", "B/s"),
    "a duration of a thousand years": (
        GOOD + '[server]\ndrain_timeout = "1000y"\n', 9, 17, "server.drain_timeout", "366d"),
    "a memory without a unit": (GOOD + "[limits]\nmemory = 2000000\n", 9, 10, "limits.memory", "MiB"),
    "a limit on a dry run that is none": (
        GOOD + '[listener.pools.http]\ndry_run = ["max_headers"]\n', 9, 11, "pools.http.dry_run",
        "keep_alive_timeout"),
    "a dry run of what a listener does not have": (
        GOOD + 'dry_run = ["max_age"]\n', 8, 11, "listener[0].dry_run", "accept_rate"),
    "a range that is none": (
        GOOD + 'exempt = ["10.0.0.0/33"]\n', 8, 10, "listener[0].exempt", "10.0.0.0/8"),
    "a pool of a protocol that the listener lacks": (
        GOOD + "[listener.pools.http2]\n", 8, None, "listener[0].pools.http2", "protocols"),
    "https without tls": (
        GOOD.replace('["http"]', '["https"]'), 7, None, "listener[0].protocols", "tls"),
    "tls without https": (
        GOOD + "tls = { self_signed = true }\n", 7, None, "listener[0].protocols", "https"),
    "a certificate that is not there": (
        GOOD.replace('["http"]', '["https"]') + 'tls = { certificate = "no.crt", key = "no.key" }\n',
        8, 23, "listener[0].tls.certificate", "PEM"),
    "a protocol twice": (
        GOOD.replace('["http"]', '["http", "http"]'), 7, 22, "listener[0].protocols", "once"),
    "nobody trusted to announce": (
        GOOD + "proxy_protocol = { trusted = [] }\n", 8, None, "proxy_protocol.trusted", "10.0.0.0/8"),
    "a token that is not there": (
        GOOD.replace("[admin]\n", '[admin]\ntoken_file = "nowhere"\n'), 3, 1, "admin.token_file", "16"),
    "a level that is none": (GOOD + '[log]\nlevel = "loud"\n', 9, 9, "log.level", "info"),
    "a route that nothing answers": (
        GOOD + '[[route]]\npath = "/"\n', 8, None, "route[0].app", "respond"),
    "a route that two things answer": (
        GOOD + '[[route]]\napp = "demo"\nredirect = "https"\n', 10, 1, "route[0].redirect", "app"),
    "a route to a listener that is none": (
        GOOD + '[[route]]\nlistener = "wob"\napp = "demo"\n', 9, 12, "route[0].listener", "web"),
    "a redirect to nowhere": (
        GOOD + '[[route]]\nredirect = "ftp"\n', 9, 12, "route[0].redirect", "https"),
    "a section that is a value": ("pools = 5\n" + GOOD, 1, 9, "pools", "[pools]"),
    "no file of text": ("\udcff" + GOOD, 1, 1, "", "UTF-8"),
}
# What cannot have a key: the notation itself is broken.
KEYLESS = {"no TOML", "no file of text"}
TOLD = re.compile(r"broken\.toml:(\d+):(\d+): (?:([\w.\[\]]+): )?(.+)\n {4}(\S.*)\n")


@pytest.mark.parametrize("command", ["check", "serve"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_where_it_is_broken(tmp_path, name, command):
    text, line, column, key, remedy = BROKEN[name]
    file = tmp_path / "broken.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    ran = run("check", file) if command == "check" else run("serve", "--config", file)
    told = ran.stdout + ran.stderr
    assert ran.returncode == 1, told
    # Every one has its place, key, reason and remedy; the first is the one that was made.
    faults = TOLD.findall(told)
    assert faults and len(faults) == told.count("broken.toml:"), told
    found = faults[0]
    assert int(found[0]) == line, told
    assert not column or int(found[1]) == column, told
    assert key in found[2] and remedy in found[3] + found[4], told
    assert found[2] or name in KEYLESS, told
    assert "panicked" not in told


def test_there_are_thirty_kinds_of_broken_files():
    assert len(BROKEN) >= 30


def test_every_mistake_of_a_file_is_told_at_once(tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text(GOOD + "max_conections = 5\n[listener.pools.http]\nwhen_full = \"no\"\n")
    told = run("check", file)
    assert told.returncode == 1
    assert len(re.findall(r"broken\.toml:\d+:\d+", told.stdout + told.stderr)) == 2


def test_a_good_file_passes(tmp_path):
    file = tmp_path / "good.toml"
    file.write_text(GOOD)
    assert run("check", file).returncode == 0


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_told(tmp_path, name):
    ran = run("check", tmp_path / name)
    assert ran.returncode == 1 and (ran.stdout + ran.stderr).strip()
    assert "panicked" not in ran.stderr


@pytest.mark.heavy
def test_no_prefix_of_a_file_makes_it_panic(tmp_path):
    text = GOOD + '[listener.pools.http]\nmax_age = "5m"\nexempt = ["10.0.0.0/8"]\n'
    for end in range(0, len(text), 3):
        file = tmp_path / "prefix.toml"
        file.write_text(text[:end])
        ran = run("check", file)
        assert ran.returncode in (0, 1) and "panicked" not in ran.stderr, ran.stderr


@pytest.mark.parametrize("which", ["listener", "admin"])
def test_a_port_that_is_taken_ends_it_and_is_named(tmp_path, which):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        web, admin = (port, free_port()) if which == "listener" else (free_port(), port)
        file = tmp_path / "wharf.toml"
        file.write_text(GOOD.replace(":8080", f":{web}").replace(":9900", f":{admin}"))
        ran = run("serve", "--config", file)
        assert ran.returncode == 1
        told = ran.stdout + ran.stderr
        assert str(port) in told and "address" in told, told
        assert ("listener" if which == "listener" else "admin") in told


def test_config_shows_what_holds_and_where_it_comes_from(tmp_path):
    file = tmp_path / "wharf.toml"
    file.write_text(GOOD + '[listener.pools.http]\nkeep_alive_timeout = "65s"\n')
    ran = run("config", "--config", file)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r'keep_alive_timeout = "(65s|1m ?5s)".*file', ran.stdout), ran.stdout
    assert re.search(r"headers_timeout = \"10s\".*default", ran.stdout), ran.stdout


def test_what_config_prints_is_a_file_that_says_the_same(tmp_path):
    file, printed = tmp_path / "wharf.toml", tmp_path / "printed.toml"
    file.write_text(GOOD + '[listener.pools.http]\nmax_age = "5m"\nexempt = ["10.0.0.0/8"]\n')
    first = run("config", "--config", file).stdout
    printed.write_text(first)
    ran = run("check", printed)
    assert ran.returncode == 0, ran.stderr
    second = run("config", "--config", printed).stdout
    settings = lambda text: [line.split("#")[0].rstrip() for line in text.splitlines()]
    assert settings(first) == settings(second)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_are_there(arguments):
    ran = run(*arguments)
    assert ran.returncode == 0 and "wharf" in ran.stdout


@pytest.mark.parametrize("arguments", [["frobnicate"], ["serve", "--nonsense"], ["check"]])
def test_arguments_that_are_wrong_are_told(arguments):
    ran = run(*arguments)
    assert ran.returncode != 0 and (ran.stderr + ran.stdout).strip()
    assert "panicked" not in ran.stderr


def test_two_listeners_have_pools_of_their_own(serve):
    other = ("127.0.0.1", free_port())
    more = (f'\n[[listener]]\nname = "other"\naddress = "{other[0]}:{other[1]}"\n'
            'protocols = ["http"]\n[listener.pools.http]\nmax_connections = 1\n'
            'when_full = "refuse"\n')
    with serve({"max_connections": 2, "when_full": "refuse"}, more=more) as server:
        assert {pool["name"] for pool in server.json("/pools")["pools"]} == {
            "web/http", "other/http"}
        with Peer(other) as one, Peer(other) as refused:
            assert one.request().status == 200
            assert refused.response().status == 503
            with Peer(server.address) as two, Peer(server.address) as three:
                assert two.request().status == three.request().status == 200
            by = server.metrics()
            assert by.total("wharf_connections_rejected_total", listener="other") == 1
            assert by.total("wharf_connections_rejected_total", listener="web") == 0


def test_the_servers_lines_are_json_where_nobody_watches(serve):
    with serve(may_panic=True) as server, Peer(server.address) as peer:
        assert peer.request().status == 200
        assert peer.request("/panic").status == 500
        assert eventually(lambda: len(server.requests()) == 2)
        server.signal(signal.SIGTERM)
        assert server.exited(within=5) == 0
        for entry in server.requests() + server.lines():
            assert "unparsed" not in entry, entry
        first = server.requests()[0]
        assert (first["method"], first["target"], first["status"]) == ("GET", "/hello", 200)


def test_it_does_not_start_with_a_process_limit_that_is_wrong(serve):
    with pytest.raises(StartFailed) as failure, serve(limits={"max_connections": 0}):
        pass
    assert failure.value.code == 1

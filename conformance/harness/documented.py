"""[`Documented`]: a folder in which the commands of a page are run as a reader would."""

import os
import re
import signal
import subprocess
import sys
import time
from urllib.request import urlopen

from .server import REPOSITORY, binary, free_port
from .tls import Authority
from .wait import eventually

# The ports that the pages name.
PORTS = ("8080", "8443", "50051", "9900", "9090", "3000")
# What starts a server: the demo, or one by a file.
SERVES = re.compile(r"(?:^|&& |\d )(?:wharf serve|wharf *(?:#|$)|cargo run --release *(?:#|$))", re.M)
# What else does not end by itself.
LASTS = re.compile(r"curl .*-N |prometheus |systemd-socket-activate ")
# What builds or tests for minutes: the gate itself does, so here only what is named has to be there.
LONG = re.compile(r"cargo (\+nightly )?(build|run|test|bench|install|fuzz|deb)\b|(bash )?(\.ci|conformance|bench|fuzz)/")


class Documented:
    """Every command of a block ends with 0, or goes on until the block is over if it lasts."""

    def __init__(self, folder, file=None):
        self.folder = folder
        self.ports = {port: str(free_port()) for port in PORTS}
        self.lasting = []
        self._furnish(file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.lasting:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def adapted(self, text):
        """The text with ports that are free."""
        return re.sub(r"(?<=:)(%s)\b" % "|".join(PORTS), lambda found: self.ports[found[1]], text)

    def check(self, file):
        """What `wharf check` says of a configuration."""
        (self.folder / "checked.toml").write_text(file)
        return self._run("wharf check checked.toml")

    def run(self, block):
        """Runs the commands of a block, one after the other."""
        commands = [command.replace("target/release/wharf", "wharf") for command in block.commands()]
        if not any(map(SERVES.search, commands)):
            self._last("wharf serve --config demo.toml")
        for command in commands:
            where = f"{block}: {command}"
            if SERVES.search(command) or LASTS.match(command):
                self._last(command)
            elif LONG.match(command):
                _named(command, where)
            else:
                ran = self._run(command)
                assert ran.returncode == 0, f"{where}\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}{self._told()}"
        for process in self.lasting:
            assert process.poll() in (None, 0), f"{block}: {process.args} has ended: {self._told()}"

    # The folder.

    def _furnish(self, file):
        tools = self.folder / "bin"
        tools.mkdir()
        (tools / "wharf").symlink_to(binary())
        grpcurl = tools / "grpcurl"
        grpcurl.write_text(f'#!/bin/sh\nexec {sys.executable} {REPOSITORY}/conformance/docs/grpcurl.py "$@"\n')
        grpcurl.chmod(0o755)
        authority = Authority()
        pair = authority.issue("localhost", "127.0.0.1", "*.example.com", "a.example.com", "admin.internal")
        for name in ("server", "admin", "a", "wild", "example"):
            pair.write(self.folder, name)
        (self.folder / "ca.crt").write_bytes(authority.chain_pem())
        (self.folder / "admin.token").write_text("a-token-of-the-documentation\n")
        (self.folder / "otel.headers").write_text("api-key: of-the-documentation\n")
        demo = (REPOSITORY / "conformance/docs/demo.toml").read_text()
        (self.folder / "demo.toml").write_text(self._placed(demo))
        (self.folder / "wharf.toml").write_text(self._placed(file or demo))

    def _placed(self, file):
        """A file whose admin API is found where the pages say."""
        admin = "" if "[admin]" in file else '[admin]\naddress = "127.0.0.1:9900"\n'
        return self.adapted(admin + file)

    def _environment(self):
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return os.environ | {"PATH": path, "ADMIN_TOKEN": "a-token-of-the-documentation"}

    def _run(self, command):
        return subprocess.run(["bash", "-ec", self._here(command)], cwd=self.folder, env=self._environment(),
                              capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)

    def _last(self, command):
        command = re.sub(r"^(cargo run --release|wharf) *(#.*)?$", "wharf serve --config demo.toml", command)
        with (self.folder / "lasting.log").open("ab") as log:
            process = subprocess.Popen(["bash", "-ec", self._here(command)], cwd=self.folder,
                                       env=self._environment(), stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, start_new_session=True)
        self.lasting.append(process)
        if not LASTS.match(command):
            assert eventually(lambda: process.poll() is not None or self._is_ready(), 10), self._told()
            assert process.poll() is None, self._told()
        else:
            time.sleep(0.3)  # What refuses at once has had its time.

    def _here(self, command):
        return re.sub(r"(?<![\w/])deploy/", f"{REPOSITORY}/deploy/", self.adapted(command))

    def _is_ready(self):
        try:
            return urlopen(f"http://127.0.0.1:{self.ports['9900']}/ready", timeout=2).status == 200
        except OSError:
            return False

    def _told(self):
        return (self.folder / "lasting.log").read_text(errors="replace")[-2000:]


def _named(command, where):
    """What a long command names is there."""
    if (script := re.match(r"(?:bash )?(\S+/\S+)", command)) and "/target/" not in script[1]:
        assert (REPOSITORY / script[1]).is_file(), where
    package = re.search(r"-p ([\w-]+)", command)
    crates = [REPOSITORY / "crates" / package[1]] if package else list((REPOSITORY / "crates").iterdir())
    assert all(crate.is_dir() for crate in crates), where
    for kind, folder in (("example", "examples"), ("bench", "benches")):
        for name in re.findall(rf"--{kind} (\w+)", command):
            assert any((crate / folder / f"{name}.rs").exists() for crate in crates), where

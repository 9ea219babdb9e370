"""An example of the library's, as a process: what an application is that is not the binary."""

import socket
import subprocess

from .server import binary, free_port
from .wait import eventually


class Example:
    """The example of that name, which is told its address and settings; from `with` to the end of it."""

    def __init__(self, name, **settings):
        self.name = name
        self.settings = [f"{key}={value}" for key, value in settings.items()]

    @property
    def program(self):
        """What was built last; None if nothing was."""
        folders = [binary().parents[1] / kind / "examples" for kind in ("debug", "release")]
        built = [folder / self.name for folder in folders if (folder / self.name).exists()]
        return max(built, key=lambda path: path.stat().st_mtime, default=None)

    def __enter__(self):
        self.address = ("127.0.0.1", free_port())
        command = [self.program, "%s:%d" % self.address, *self.settings]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        assert eventually(self._listens, 5), f"{self.name} does not listen"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)

    def _listens(self):
        with socket.socket() as sock:
            return sock.connect_ex(self.address) == 0

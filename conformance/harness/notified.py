"""A service manager's end of sd_notify(3)."""

import os
import socket

from .wait import eventually


class Notified:
    """Hears what a process tells; `environment` is what the process needs to know."""

    def __init__(self, folder, watchdog=None):
        self.path = folder / "notify"
        self.watchdog = watchdog
        self.heard = []

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        return self

    def __exit__(self, *_):
        self.socket.close()

    @property
    def environment(self):
        watchdog = {"WATCHDOG_USEC": str(int(self.watchdog * 1e6))} if self.watchdog else {}
        return os.environ | {"NOTIFY_SOCKET": str(self.path)} | watchdog

    def lines(self):
        """Everything that was told so far."""
        while True:
            try:
                self.heard += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def hears(self, line, times=1, within=5.0):
        """Waits until that was told so often."""
        return eventually(lambda: self.lines().count(line) >= times, within)

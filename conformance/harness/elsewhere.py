"""A network of its own beside this one, at the other end of a cable that can be cut."""

import ctypes
import os
import subprocess
import threading

import pytest

NEW_NETWORK = 0x4000_0000  # CLONE_NEWNET


class Elsewhere:
    """The other network, from `with` to the end; `host` is our address on the cable.

    Skips the test where networks cannot be made.
    """

    def __init__(self):
        number = os.getpid()
        self.name, self.ours, self.theirs = f"wharf{number}", f"wa{number}", f"wb{number}"
        self.host, self.there = (f"10.213.{number % 251}.{n}" for n in (1, 2))

    def __enter__(self):
        try:
            _ip("netns", "add", self.name)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network can be made: {getattr(error, 'stderr', error)}")
        try:
            _ip("link", "add", self.ours, "type", "veth", "peer", "name", self.theirs, "netns", self.name)
            _ip("address", "add", f"{self.host}/30", "dev", self.ours)
            _ip("link", "set", self.ours, "up")
            _ip("-n", self.name, "address", "add", f"{self.there}/30", "dev", self.theirs)
            _ip("-n", self.name, "link", "set", self.theirs, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # The cable would go with the network, but some time later, and the next one has its names.
        subprocess.run(["ip", "link", "delete", self.ours], check=False, capture_output=True)
        _ip("netns", "delete", self.name)

    def cut(self):
        """From now on nothing arrives, and nobody is told."""
        _ip("-n", self.name, "link", "set", self.theirs, "down")

    def call(self, work):
        """Calls `work` over there; sockets that it makes stay there."""
        done = []
        thread = threading.Thread(target=self._call, args=(work, done))
        thread.start()
        thread.join(30)
        assert done, "the call from the other network has failed"
        return done[0]

    def _call(self, work, done):
        with open(f"/run/netns/{self.name}", "rb") as network:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(network.fileno(), NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
        done.append(work())


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)

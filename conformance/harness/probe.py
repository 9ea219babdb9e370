"""Those who behave, while others do not."""

import time

from .kernel import resident_bytes
from .load import Sampler
from .peer import Peer
from .wait import eventually


class Probe(Sampler):
    """An honest client with a connection of its own, that keeps asking meanwhile.

    Who stands in `watchers` is told of each that has looked on to the end.
    """

    watchers = []

    def __init__(self, server):
        super().__init__(self._ask, every=0.02)
        self.server, self.peer = server, None

    def __exit__(self, *error):
        super().__exit__(*error)
        for watcher in self.watchers:
            watcher.probed(self)

    def slow(self):
        """The time that 99 of 100 requests did not take."""
        return sorted(self.values)[int(len(self.values) * 0.99)]

    def _ask(self):
        if not self.peer:
            self.peer = Peer(self.server.address, source="127.0.0.77")
        began = time.monotonic()
        assert self.peer.request().status == 200
        return time.monotonic() - began


def warm(server):
    """Lets the server touch the memory that any traffic needs, and returns how much that is."""
    for _ in range(50):
        with Peer(server.address) as peer:
            peer.request("/bytes?n=100000")
    eventually(lambda: server.active() == 0)
    time.sleep(0.1)
    return resident_bytes(server.pid)

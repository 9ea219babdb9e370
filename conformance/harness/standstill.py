"""Times in which the machine stood still: what a test saw of the server then says nothing of it."""

import threading
import time
from pathlib import Path

TICK = 0.02
# A machine that is only busy wakes a thread within a tenth of this.
NOTABLE = 1.0
PRESSURE = [Path("/proc/pressure/io"), Path("/proc/pressure/memory")]


class Standstill:
    """Looks all the time, from a thread of its own, from `begin` on."""

    def __init__(self):
        self._longest = self._waited = 0.0
        threading.Thread(target=self._look, name="standstill", daemon=True).start()

    def begin(self):
        """Forgets what was before."""
        self._longest, self._waited = 0.0, _waited()

    def seconds(self):
        """How long nobody ran since `begin`, or everybody waited for a disk or memory; 0 if that is
        not worth a word."""
        still = max(self._longest, _waited() - self._waited)
        return still if still >= NOTABLE else 0.0

    def _look(self):
        last = time.monotonic()
        while True:
            time.sleep(TICK)
            now = time.monotonic()
            self._longest = max(self._longest, now - last - TICK)
            last = now


def _waited():
    """For how many seconds so far all that wanted to run had to wait, by the kernel."""
    seconds = 0.0
    for file in PRESSURE:
        try:
            full = [line for line in file.read_text().splitlines() if line.startswith("full")]
        except OSError:
            continue
        seconds += sum(int(line.rpartition("total=")[2]) for line in full) / 1e6
    return seconds

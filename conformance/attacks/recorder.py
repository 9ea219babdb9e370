"""A plugin of pytest that runs the cases' tests and writes down what each case did to its servers."""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import Probe, Server, cpu_seconds
from harness.server import ORDINARY

from .cases import CASES
from .table import matches, write

EVERY = 0.05


@dataclass
class Result:
    """What became of a case."""

    outcomes: list = field(default_factory=list)
    reasons: set = field(default_factory=set)
    memory: int = 0
    processor: float = 0.0
    bystander: float = 0.0
    seconds: float = 0.0


class Recorder:
    """The watcher of all servers, told by pytest which test they are of."""

    def __init__(self, path):
        self.path = path
        self.results, self.running, self.meters = defaultdict(Result), [], {}

    # By the harness.

    def started(self, server):
        if server.pid not in self.meters:
            self.meters[server.pid] = Meter(server.pid)

    def ending(self, server):
        """The last look at one that still answers."""
        try:
            metrics = server.metrics()
        except (OSError, AssertionError):
            return
        closed = metrics.by("wharf_connections_closed_total", "reason")
        refused = metrics.by("wharf_connections_rejected_total", "reason")
        for number in self.running:
            self.results[number].reasons |= (set(closed) - ORDINARY) | {f"not let in: {reason}" for reason in refused}

    def probed(self, probe):
        for number in self.running:
            result = self.results[number]
            result.bystander = max(result.bystander, probe.slow())

    # By pytest.

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.running = [n for n, it in CASES.items() if any(matches(item.nodeid, test) for test in it.tests)]
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        meters = [meter.stop() for meter in self.meters.values()]
        self.meters.clear()
        for number in self.running:
            result = self.results[number]
            result.seconds += took
            result.memory = max([result.memory, *(grown for grown, _ in meters)])
            result.processor += sum(used for _, used in meters)
        return True

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            for number in self.running:
                self.results[number].outcomes.append(report.outcome)

    def pytest_terminal_summary(self, terminalreporter):
        text = write(self.results)
        if self.path:
            Path(self.path).write_text(text)
        terminalreporter.write(text)


class Meter:
    """The memory and processor time of a process, until it ends or is asked."""

    def __init__(self, pid):
        self.pid, self.over = pid, threading.Event()
        self.first, self.most, self.used = _most_bytes(pid), 0, 0.0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self):
        """By how many bytes it grew, and how long it ran."""
        self.over.set()
        self.thread.join()
        return max(0, self.most - self.first), self.used

    def _run(self):
        while not self.over.wait(EVERY):
            try:
                self.most, self.used = _most_bytes(self.pid), cpu_seconds(self.pid)
            except (OSError, IndexError, StopIteration):
                return  # It is gone; what it was is known to within a moment.


def _most_bytes(pid):
    """The most memory that the process has had resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) << 10


def pytest_addoption(parser):
    parser.addoption("--table", help="where the table of attacks is written to")


def pytest_configure(config):
    recorder = Recorder(config.getoption("--table"))
    config.pluginmanager.register(recorder)
    Server.watchers.append(recorder)
    Probe.watchers.append(recorder)


def pytest_collection_modifyitems(config, items):
    wanted = [test for it in CASES.values() for test in it.tests]
    kept = [item for item in items if any(matches(item.nodeid, test) for test in wanted)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept

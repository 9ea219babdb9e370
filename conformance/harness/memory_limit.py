"""A bound for a process's memory, which the kernel keeps by killing it."""

import os
from pathlib import Path

import pytest

CONTROLLER = Path("/sys/fs/cgroup/memory")


class MemoryLimit:
    """A control group with so many bytes, from `with` to the end; skips where there can be none."""

    def __init__(self, limit):
        self.limit = limit
        self.group = CONTROLLER / f"wharf-test-{os.getpid()}"

    def __enter__(self):
        try:
            self.group.mkdir()
            (self.group / "memory.limit_in_bytes").write_text(str(self.limit))
        except OSError as error:
            pytest.skip(f"no control group (version 1) can be made: {error}")
        return self

    def __exit__(self, *_):
        self.group.rmdir()

    def enter(self):
        """Puts this process in; for a child, before it becomes the server."""
        (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def most(self):
        """The most bytes that were in use."""
        return int((self.group / "memory.max_usage_in_bytes").read_text())

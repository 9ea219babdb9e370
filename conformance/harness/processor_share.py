"""A share of one processor, which is all that a process gets."""

import os
from pathlib import Path

import pytest

CONTROLLER = Path("/sys/fs/cgroup/cpu")
PERIOD = 100_000  # microseconds


class ProcessorShare:
    """A control group with that share of one processor, from `with` to the end; skips where there can be none."""

    def __init__(self, share):
        self.share = share
        self.group = CONTROLLER / f"wharf-test-{os.getpid()}"

    def __enter__(self):
        try:
            self.group.mkdir()
            (self.group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (self.group / "cpu.cfs_quota_us").write_text(str(int(self.share * PERIOD)))
        except OSError as error:
            pytest.skip(f"no control group (version 1) can be made: {error}")
        return self

    def __exit__(self, *_):
        self.group.rmdir()

    def enter(self):
        """Puts this process in; for a child, before it becomes the server."""
        (self.group / "cgroup.procs").write_text(str(os.getpid()))

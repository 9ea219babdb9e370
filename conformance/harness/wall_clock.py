"""A wall clock that one process believes in and that jumps."""

import mmap
import os
import shutil
import struct
import subprocess

import pytest

# What libc is asked for the time of day; every other clock is the kernel's.
SOURCE = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long *ahead;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("WALL_CLOCK"), O_RDONLY);
    void *page = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    ahead = page == MAP_FAILED ? 0 : page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, clock, at);
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += *ahead;
    return failed;
}
"""


class WallClock:
    """The wall clock of a child that has called `enter`, from `with` to the end; skips without a compiler."""

    def __init__(self, folder):
        self.library, self.file = folder / "wall_clock.so", folder / "wall_clock"

    def __enter__(self):
        compiler = shutil.which("cc")
        if not compiler:
            pytest.skip("no C compiler")
        command = [compiler, "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", self.library]
        subprocess.run(command, input=SOURCE, text=True, check=True, capture_output=True)
        self.file.write_bytes(struct.pack("l", 0))
        with self.file.open("r+b") as file:
            self.page = mmap.mmap(file.fileno(), 0)
        return self

    def __exit__(self, *_):
        self.page.close()

    def enter(self):
        """Puts a child under this clock, before it becomes the server."""
        os.environ["LD_PRELOAD"], os.environ["WALL_CLOCK"] = str(self.library), str(self.file)

    def set(self, ahead):
        """From now on the clock is so many seconds ahead of the true one."""
        self.page[:] = struct.pack("l", ahead)

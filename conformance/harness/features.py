"""What the program under test was built with."""

import functools
import subprocess

from .server import binary


@functools.cache
def has_otel():
    """Whether it knows `[otel]`."""
    if not binary().exists():
        return False  # That is told where it is needed.
    told = subprocess.run([binary(), "config"], capture_output=True, text=True, check=True, timeout=30)
    return "[otel]" in told.stdout

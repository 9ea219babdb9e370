"""Waiting for what becomes true soon."""

import time


def eventually(check, within=2.0, every=0.01):
    """Calls `check` until it returns something true, and returns that; the last answer at the end.

    An `AssertionError` in `check` counts as "not yet", and is raised if it is the last word.
    """
    until = time.monotonic() + within
    while True:
        over = time.monotonic() >= until
        try:
            answer = check()
            if answer or over:
                return answer
        except AssertionError:
            if over:
                raise
        time.sleep(every)

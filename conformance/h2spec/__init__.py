"""The cases of h2spec (github.com/summerwind/h2spec), written anew.

A case is named by its section and number there, and by what is sent. Each is a function of a
connection; unless it says otherwise, preface and settings have been exchanged.
"""

from .cases import CASES, Case
from . import generic, hpack, connection, streams, frames, flow, messages  # noqa: F401  (they fill CASES)

__all__ = ["CASES", "Case"]

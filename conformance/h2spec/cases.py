"""The list that the cases are put into."""

from dataclasses import dataclass
from typing import Callable

CASES = []


@dataclass
class Case:
    """One case: where it stands, what is sent, and the code that sends it and looks."""

    place: str
    sends: str
    run: Callable
    greeted: bool

    def __str__(self):
        return f"{self.place} {self.sends}"


def case(place, sends, greeted=True):
    """Puts the function below into the list; not `greeted` begins before the preface."""
    def put(run):
        CASES.append(Case(place, sends, run, greeted))
        return run
    return put

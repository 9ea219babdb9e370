"""The list of attacks: each that a release depends on has its tests, and these are there."""

import ast
from pathlib import Path

import pytest

from attacks.cases import CASES, GATE
from attacks.table import matches, outcome, write

FOLDER = Path(__file__).parent


def names(file):
    """The tests of a file, without what all begin with."""
    tree = ast.parse((FOLDER / f"{file}.py").read_text())
    return {it.name.removeprefix("test_") for it in tree.body if isinstance(it, ast.FunctionDef)}


@pytest.mark.parametrize("number", CASES)
def test_a_case_has_tests_or_a_reason(number):
    case = CASES[number]
    assert bool(case.tests) != bool(case.why_not)
    assert case.rank in "ABC" and not (case.rank == "A" and case.why_not)
    for test in case.tests:
        file, _, name = test.partition("::")
        assert (FOLDER / f"{file}.py").exists(), file
        assert name == "*" or name.split("[")[0] in names(file), test


def test_numbers_are_without_a_gap_and_the_gate_is_of_the_first_rank():
    assert list(CASES) == list(range(1, len(CASES) + 1))
    assert all(CASES[number].rank == "A" for number in GATE)


def test_a_test_is_found_by_its_name_and_where_it_matters_by_its_parameters():
    assert matches("test_a.py::test_it_holds[x]", "test_a::it_holds")
    assert matches("test_a.py::test_it_holds[x-y]", "test_a::it_holds[x-y]")
    assert not matches("test_a.py::test_it_holds[z]", "test_a::it_holds[x-y]")
    assert not matches("test_b.py::test_it_holds", "test_a::it_holds")
    assert matches("test_b.py::test_anything", "test_b::*")


def test_what_failed_is_never_hidden_and_what_was_not_run_is_named():
    assert "FAILED" in outcome(["passed", "failed", "skipped"])
    assert outcome(["skipped"]) == "skipped"
    assert all(f"* {number} " in write({}) for number in CASES)

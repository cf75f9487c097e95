"""The mutation controls (`python -m tests.mutations`) still know the code that they change, and the tests they name."""

import ast

import pytest

from orchestra.settings import BASE_DIR
from tests.mutations.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_takes_out_is_there_once(mutant: Mutant) -> None:
    found = [(BASE_DIR / edit.path).read_text().count(edit.old) for edit in mutant.edits]

    assert found == [1] * len(mutant.edits)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_have_to_notice_are_there(mutant: Mutant) -> None:
    for test in mutant.tests:
        path, _, name = test.partition("::")
        tree = ast.parse((BASE_DIR / path).read_text())

        assert not name or name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

"""Every Python example in the documents runs; those of one document run one after the other, in one namespace."""

import ast
from pathlib import Path

import pytest

from tests.docs.blocks import DOCUMENTS, Block, blocks
from tests.docs.examples import examples_of

WITH_PYTHON = [path for path in DOCUMENTS if blocks("python", paths=[path])]


@pytest.mark.parametrize("path", WITH_PYTHON, ids=lambda path: path.name)
def test_the_python_examples_of_a_document_run(path: Path) -> None:
    with examples_of(path) as namespace:
        assert namespace


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.name)
def test_a_python_example_is_documented_and_typed(block: Block) -> None:
    functions = [node for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.FunctionDef)]

    assert all(function.returns for function in functions)

"""Every case of the conformance file, under many orders of completion."""

from pathlib import Path
from typing import Any

import pytest

from apps.common import yaml
from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.spec import parse_definition
from tests.engine.simulator import simulate

CASES: Any = yaml.loads((Path(__file__).parents[1] / "conformance" / "graph_cases.yaml").read_bytes())
ORDERS = 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_ends_as_expected_in_every_order(case: dict[str, Any]) -> None:
    compiled = compile_definition(parse_definition(case["definition"]))

    for seed in range(ORDERS):
        ended = simulate(compiled, inputs=case.get("input"), seed=seed)

        found = {"status": ended.status, "visits": ended.visits, "output": ended.output}
        expected = dict(case["expect"])
        assert expected.pop("error_contains", "") in ended.error
        assert {key: found[key] for key in expected} == expected

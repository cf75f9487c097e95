"""Every case of the conformance file, through the real store."""

from pathlib import Path
from typing import Any

import pytest

from apps.common import yaml
from tests.workflows.engine_room import EngineRoom

CASES: Any = yaml.loads((Path(__file__).parents[1] / "conformance" / "graph_cases.yaml").read_bytes())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_ends_as_expected(room: EngineRoom, case: dict[str, Any]) -> None:
    run = room.finish(case["definition"], case.get("input"))

    expected = dict(case["expect"])
    visits = dict.fromkeys(case["definition"]["nodes"], 0) | room.visits(run.pk)
    found = {"status": run.status, "visits": visits, "output": room.output(run)}
    assert expected.pop("error_contains", "") in room.error(run.pk).get("message", "")
    assert {key: found[key] for key in expected} == expected

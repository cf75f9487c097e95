"""Makes a dump of the present schema: `bin/test tests/golden/make_dump.py`. When to do so stands in CONTRIBUTING.md."""

import pytest

from tests.golden import dumps, in_flight
from tests.workflows.engine_room import EngineRoom


@pytest.mark.django_db(transaction=True)
def test_make_dump(room: EngineRoom) -> None:
    in_flight.begin_all(room)
    dumped = dumps.dump() | {"finished": in_flight.finished_nodes()}

    expected = in_flight.resume_all(room)

    assert {end["status"] for end in expected.values()} == {"completed"}
    path = dumps.PLACE / f"workflows_{dumped['migrations']['workflows'][:4]}.json"
    dumps.write(dumped | {"expected": expected}, path)

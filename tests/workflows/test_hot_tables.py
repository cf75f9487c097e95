"""Tables that change all the time stay small and quick (F11)."""

import psycopg
import pytest
from django.db import connection

from apps.workflows.store.database import connection_parameters
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import Probes, probe

_FACTORS = """
select relname, split_part(option, '=', 2)::float from pg_class, unnest(reloptions) as option
where option like 'autovacuum_vacuum_scale_factor=%'
"""


def test_work_goes_on_beside_somebody_who_looks_at_how_it_was(room: EngineRoom, calls: Probes) -> None:
    with psycopg.connect(**connection_parameters()) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        before = reader.execute("select count(*) from workflows_run").fetchone()

        for _ in range(5):
            assert room.finish(workflow({"a": probe("a"), "b": probe("b")}, ["a b"])).status == "completed"

        assert reader.execute("select count(*) from workflows_run").fetchone() == before


@pytest.mark.django_db
def test_tables_of_the_engine_are_vacuumed_before_thousands_of_dead_rows_have_gathered() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_FACTORS)
        factors = dict(cursor.fetchall())

    changed_at_every_step = {"workflows_run", "workflows_noderun"}
    only_added_and_deleted = {
        f"workflows_{name}" for name in ("attempt", "runevent", "contextentry", "journalentry", "effect")
    }
    assert {table for table, factor in factors.items() if factor <= 0.01} == changed_at_every_step
    assert {table for table, factor in factors.items() if factor == 0.02} == only_added_and_deleted

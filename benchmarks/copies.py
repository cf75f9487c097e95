"""Many rows like one: for what has to be measured in a full house."""

from collections.abc import Mapping
from uuid import UUID

from django.db import connection, models

from apps.workflows.models import NodeRun, Run

LABEL = "copy"  # what copies of runs are called

_NUMBERS = "create temporary table copies as select g, gen_random_uuid() as id from generate_series(1, %s) g"
_COUNT = f"update workflows_run set name = '{LABEL}' where id = %s"  # noqa: S608
_REMOVE = f"""
delete from workflows_attempt a using workflows_noderun n, workflows_run r
where a.node_run_id = n.id and n.run_id = r.id and r.name = '{LABEL}';
delete from workflows_runevent e using workflows_run r where e.run_id = r.id and r.name = '{LABEL}';
delete from workflows_noderun n using workflows_run r where n.run_id = r.id and r.name = '{LABEL}';
delete from workflows_run where name = '{LABEL}'
"""  # noqa: S608 - a constant
_ANALYZE = "vacuum analyze workflows_run, workflows_noderun, workflows_attempt, workflows_runevent"


def copy_runs(run: UUID, count: int) -> None:
    """So many runs like this one, each a second older than the one before, with node runs like this one's."""
    of_run = {"id": "copies.id", "name": f"'{LABEL}'", "created_at": "source.created_at - make_interval(secs => g)"}
    of_node_run = {"id": "gen_random_uuid()", "run_id": "copies.id"}
    with connection.cursor() as cursor:
        cursor.execute(_NUMBERS, [count])
        cursor.execute(_insert(Run, of_run, "source.id = %s"), [run])
        cursor.execute(_insert(NodeRun, of_node_run, "source.run_id = %s"), [run])
        cursor.execute("drop table copies")
        cursor.execute(_ANALYZE)


def count_as_copy(run: UUID) -> None:
    """Have this run removed with the copies."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [run])


def remove_copies() -> None:
    """All of them."""
    with connection.cursor() as cursor:
        cursor.execute(_REMOVE)
        cursor.execute(_ANALYZE)


def _insert(model: type[models.Model], changed: Mapping[str, str], which: str) -> str:
    columns = [str(field.column) for field in model._meta.concrete_fields]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(changed.get(column, f'source."{column}"') for column in columns)
    table = model._meta.db_table
    return f"insert into {table} ({names}) select {values} from {table} source, copies where {which}"  # noqa: S608 - names of ours

"""Makes runs look as if they had been a while ago, which no API does."""

from datetime import timedelta

from apps.workflows.store.database import transaction

_RUNS = """
update workflows_run set created_at = created_at - %(age)s, started_at = started_at - %(age)s,
    finished_at = finished_at - %(age)s where id = %(run)s
"""
_NODES = """
update workflows_noderun set created_at = created_at - %(age)s, started_at = started_at - %(age)s,
    finished_at = finished_at - %(age)s where run_id = %(run)s
"""
_ATTEMPTS = """
update workflows_attempt a set started_at = a.started_at - %(age)s, ended_at = a.ended_at - %(age)s
from workflows_noderun n where n.id = a.node_run_id and n.run_id = %(run)s
"""
_EVENTS = "update workflows_runevent set created_at = created_at - %(age)s where run_id = %(run)s"
_MODELS = "update integrations_modelsetting set created_at = created_at - interval '60 days'"


def grow_old(ages: dict[str, timedelta]) -> None:
    """Move runs that have ended back by their age, with all that belongs to them, and models by months."""
    with transaction() as tx:
        tx.execute(_MODELS)
        for run, age in ages.items():
            for statement in (_RUNS, _NODES, _ATTEMPTS, _EVENTS):
                tx.execute(statement, run=run, age=age)

"""Tasks that agents outside have, or are offered, and that no node waits for any more."""

from uuid import UUID

from apps.agents.services import delivery
from apps.workflows.store import agent_tasks
from apps.workflows.store.database import look


def withdraw_orphans(run: UUID | None = None) -> int:
    """Takes them back, those of one run or of all; gives how many. Who works on one hears of it with a heartbeat."""
    with look() as tx:
        orphans = agent_tasks.unwanted(tx, run)
    for orphan in orphans:
        delivery.take_back(orphan.task, is_overdue=orphan.is_overdue)
    return len(orphans)

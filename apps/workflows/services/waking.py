"""Nodes that have left their task to an agent outside, and go on when it has ended."""

from functools import partial
from uuid import UUID

from apps.workflows.engine.states import NodeStatus
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.transition import again
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import agent_tasks
from apps.workflows.store.database import look


def wake(node_run: UUID | None = None) -> int:
    """Queues this node run, or all, whose task has ended or will be fetched by nobody; gives how many.

    Twice is the same as once, and what is woken for nothing looks and waits again.
    """
    with look() as tx:
        places = agent_tasks.news(tx, node_run)
    for place in places:
        act_on_run(place.run, partial(_look_again, place.node_run))
    return len(places)


def _look_again(node_run: UUID, transition: Transition) -> None:
    transition.read([node_run])
    row = transition.rows[node_run]
    if row.status is NodeStatus.WAITING and row.waiting_for == "agent":
        again.look_again(transition, row)

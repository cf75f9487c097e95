"""How a node hears what became of its task: the app that has the nodes registers here what wakes one."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.db import transaction

from apps.agents.models import AgentTask

Wake = Callable[[UUID], object]

_wake: list[Wake] = []


def register(wake: Wake) -> None:
    """Tell the agents how a node run is woken; it has to be harmless to do it twice, or for nothing."""
    _wake[:] = [wake]


def tell(task: AgentTask) -> None:
    """Wake the node of a task that has ended, once that is committed; what is lost here the recovery finds."""
    if task.node_run_id is not None:
        for wake in _wake:
            transaction.on_commit(partial(wake, task.node_run_id), robust=True)

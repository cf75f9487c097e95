"""How the nodes of runs hear of their tasks: the app that has them registers here who tells one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction

from apps.agents.models import AgentTask


@dataclass(frozen=True)
class Line:
    """A line for the log of a run."""

    level: str
    message: str
    fields: dict[str, Any]


class Nodes(Protocol):
    """Who has the node runs. One that is gone or has ended is no fault."""

    def wake(self, node_run: UUID) -> object:
        """Have it look what became of its task; harmless twice, and for nothing."""

    def tell_lost(self, node_run: UUID, instance: str) -> object:
        """Tell that the process which had its task is gone, and the task is offered to others."""

    def log(self, node_run: UUID, lines: Sequence[Line]) -> object:
        """Write to the log of its run, in the transaction that is open."""

    def show_progress(self, node_run: UUID, *, fraction: float | None, message: str) -> object:
        """Tell how far it is."""


_nodes: list[Nodes] = []


def register(nodes: Nodes) -> None:
    """Tell the agents who has the nodes."""
    _nodes[:] = [nodes]


def tell(task: AgentTask) -> None:
    """Wake the node of a task that has ended, once that is committed; what is lost here the recovery finds."""
    if task.node_run_id is not None:
        for nodes in _nodes:
            transaction.on_commit(partial(nodes.wake, task.node_run_id), robust=True)


def tell_lost(lost: Iterable[tuple[UUID, str]]) -> None:
    """Tell nodes which processes were lost with their tasks, once that is committed."""
    for nodes in _nodes:
        for node_run, instance in lost:
            transaction.on_commit(partial(nodes.tell_lost, node_run, instance), robust=True)


def log(node_run: UUID, lines: Sequence[Line]) -> None:
    """Have the lines written."""
    for nodes in _nodes:
        nodes.log(node_run, lines)


def show_progress(node_run: UUID, *, fraction: float | None, message: str) -> None:
    """Have the progress shown."""
    for nodes in _nodes:
        nodes.show_progress(node_run, fraction=fraction, message=message)

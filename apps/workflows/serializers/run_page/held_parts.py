"""The runs that do parts of a run, and which of them waits for somebody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.workflows import selectors
from apps.workflows.engine.states import RunStatus
from apps.workflows.models import NodeRun, Run
from apps.workflows.services.budget_pauses import reason_of

MOST = 100  # runs that are looked at on each level
DEEPEST = 10  # as runs are nested


@dataclass(frozen=True, slots=True)
class HeldPart:
    """A run that waits, the node of the run above all that it is a part of, and why."""

    child: UUID
    node_run: NodeRun
    reason: str


def held_part(run: Run) -> HeldPart | None:
    """Give the first run below this one that waits for a person or for money, those nearest to it first."""
    parts: dict[UUID, NodeRun] = {}
    level = [run.pk]
    for _ in range(DEEPEST):
        below = _children(level)
        parts |= {child: parts.get(above, node) for child, above, node in _places(below)}
        for held, reason in _held(below):
            return HeldPart(held, parts[held], reason)
        level = [child.pk for child in below]
        if not level:
            break
    return None


def _children(parents: Sequence[UUID]) -> list[Run]:
    going_on = [RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED]
    found = Run.objects.filter(parent__in=parents, parent_node__isnull=False, status__in=going_on)
    light = found.select_related("parent_node").defer("parent_node__input", "parent_node__output")
    return list(light.order_by("created_at", "id")[:MOST])


def _places(children: Sequence[Run]) -> Iterator[tuple[UUID, UUID, NodeRun]]:
    """Each run with the one above it, and the node there that it is a part of."""
    for child in children:
        if child.parent_id and child.parent_node:
            yield child.pk, child.parent_id, child.parent_node


def _held(children: Sequence[Run]) -> Iterator[tuple[UUID, str]]:
    for child in children:
        if child.status == RunStatus.PAUSED:
            money = reason_of(child)
            yield child.pk, f"is paused by a budget: {money}" if money else "is paused."
    for question in selectors.approvals().filter(run__in=children).order_by("created_at", "id")[:1]:
        yield question.run_id, f"waits for a person: {question.message}"

"""What a transition writes when everything is decided."""

from dataclasses import replace
from typing import TYPE_CHECKING

from apps.workflows.store.rows import ContextRow
from apps.workflows.store.writing import Decided

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition


def decided(transition: "Transition") -> Decided:
    """Everything beside the run itself."""
    return Decided(
        made=list(transition.made.values()),
        changed=[row for row in transition.changed.values() if row.id not in transition.made],
        started=transition.consequences.claimed,
        ended=transition.attempts,
        events=transition.events,
        context=_numbered_context(transition),
        blobs=transition.packer.records(),
    )


def _numbered_context(transition: "Transition") -> list[ContextRow]:
    """The version of a context key is the number of the event that tells of it."""
    if not transition.context:
        return []
    last = transition.run.last_seq
    numbers = {id(event): last + place for place, event in enumerate(transition.events, start=1)}
    return [replace(write, seq=numbers[id(event)]) for write, event in transition.context]

"""How a message continues a run: the app that has the runs registers here what delivers an event to one."""

from typing import Protocol
from uuid import UUID

from apps.common.errors import Unavailable
from apps.common.json import JSON


class Deliver(Protocol):
    """Gives an event to a run, in the transaction that publishes the message."""

    def __call__(self, run: UUID, event: str, payload: JSON, *, by: str) -> object:
        """Deliver; raise NotFound for a run of nobody in scope, Conflict for one that has ended."""


_deliver: list[Deliver] = []


def register(deliver: Deliver) -> None:
    """Tell the bus how runs get their events."""
    _deliver[:] = [deliver]


def send(run: UUID, event: str, payload: JSON, *, by: str) -> None:
    """Give the event to the run."""
    if not _deliver:
        raise Unavailable("Nothing here runs workflows, so no run can get this event.")
    _deliver[0](run, event, payload, by=by)

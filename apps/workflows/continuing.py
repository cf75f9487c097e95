"""What runs hear from below: messages of the bus, and of agents outside. The engine is imported when one comes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from apps.common.json import JSON

if TYPE_CHECKING:
    from apps.agents.services.news import Line


def deliver(run: UUID, event: str, payload: JSON, *, by: str) -> bool:
    """Give an event to a run of the organization in scope; raises NotFound, and Conflict when the run has ended."""
    from apps.workflows import selectors  # noqa: PLC0415
    from apps.workflows.services.signals import send_signal  # noqa: PLC0415

    return send_signal(selectors.find_run(str(run)).pk, event, payload, by=by)


class Nodes:
    """The node runs, for the agents outside that have their tasks."""

    def wake(self, node_run: UUID) -> None:
        """See news.Nodes."""
        from apps.workflows.services import waking  # noqa: PLC0415

        waking.wake(node_run)

    def tell_lost(self, node_run: UUID, instance: str) -> None:
        """See news.Nodes."""
        from apps.workflows.services import reports  # noqa: PLC0415

        reports.tell_lost(node_run, instance)

    def log(self, node_run: UUID, lines: "Sequence[Line]") -> None:
        """See news.Nodes."""
        from apps.workflows.services import reports  # noqa: PLC0415

        reports.log(node_run, lines)

    def show_progress(self, node_run: UUID, *, fraction: float | None, message: str) -> None:
        """See news.Nodes."""
        from apps.workflows.services import reports  # noqa: PLC0415

        reports.show_progress(node_run, fraction=fraction, message=message)

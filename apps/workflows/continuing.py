"""What continues runs from below: messages of the bus, results of agents outside. The engine is imported then."""

from uuid import UUID

from apps.common.json import JSON


def deliver(run: UUID, event: str, payload: JSON, *, by: str) -> bool:
    """Give an event to a run of the organization in scope; raises NotFound, and Conflict when the run has ended."""
    from apps.workflows import selectors  # noqa: PLC0415
    from apps.workflows.services.signals import send_signal  # noqa: PLC0415

    return send_signal(selectors.find_run(str(run)).pk, event, payload, by=by)


def wake(node_run: UUID) -> None:
    """Have a node that waits for an agent outside look what became of its task."""
    from apps.workflows.services import waking  # noqa: PLC0415

    waking.wake(node_run)

"""What a transition leaves to do."""

from dataclasses import dataclass, field
from uuid import UUID

from apps.workflows.store.rows import NodeRow


@dataclass
class Consequences:
    """What is left to do after the commit."""

    claimed: list[NodeRow] = field(default_factory=list)  # for the worker that brought the news to go on with
    version: UUID | None = None  # of the run's definition
    hints: list[tuple[UUID, str]] = field(default_factory=list)  # node runs to tell workers of, with their queues
    ended: bool = False  # the run is over
    ended_child_of: UUID | None = None  # the node run that waited for this run, if it has ended
    orphaned: bool = False  # its child runs, and agents outside, may have nobody to report to any more

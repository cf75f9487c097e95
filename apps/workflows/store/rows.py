"""The rows of a run while the engine holds them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from apps.workflows.engine.states import NodeStatus, RunStatus

# What starts runs with words that no person and no key of the organization stands for: another run, which may pass on
# what it was given, other people's programs, and a fork, which may be of any of these.
OF_OTHERS = frozenset({"run", "mcp", "a2a", "fork"})
HELD = datetime(9999, 1, 1, tzinfo=UTC)  # `available_at` of a map item that waits for its turn


@dataclass(slots=True)
class RunRow:
    """A run, locked or as it was when it was read."""

    id: UUID
    organization_id: UUID
    version_id: UUID
    workflow_id: UUID | None
    name: str
    now: datetime  # the database's clock when the run was read
    status: RunStatus = RunStatus.PENDING
    input: str = ""
    marking: dict[str, Any] = field(default_factory=dict)
    priority: int = 0
    last_seq: int = 0
    revision: int = 0
    visits: int = 0
    nesting: int = 0
    parent_id: UUID | None = None
    parent_node_id: UUID | None = None
    created_by: str = ""
    trigger: str = ""
    started_at: datetime | None = None
    output: str | None = None
    error: dict[str, Any] | None = None

    @property
    def has_others_input(self) -> bool:
        """Whether its input may be somebody else's words."""
        return self.trigger in OF_OTHERS


@dataclass(slots=True)
class NodeRow:
    """A node run."""

    id: UUID
    run_id: UUID
    organization_id: UUID
    node: str
    visit: int
    index: int
    depth: int
    handler: str
    status: NodeStatus
    parent_id: UUID | None = None
    queue: str = "default"
    waiting_for: str = ""
    priority: int = 0
    available_at: datetime | None = None
    timeout: float | None = None
    deadline_at: datetime | None = None
    hinted_at: datetime | None = None
    fence: int = 0
    completed_fence: int | None = None
    attempt: int = 0
    lost_count: int = 0
    open_items: int = 0
    worker: UUID | None = None
    input: str | None = None
    output: str | None = None
    error: dict[str, Any] | None = None
    state: dict[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_item(self) -> bool:
        """Whether this is an item of a map and not a visit."""
        return self.index >= 0

    @property
    def degraded(self) -> str | None:
        """The step of its node's `degrade` that it has come to."""
        known = self.state.get("degraded")
        return known["step"] if known else None

    def copy(self) -> "NodeRow":
        """The row as it is now; a fraction of what `dataclasses.replace` costs, and every node needs one."""
        other = NodeRow.__new__(NodeRow)
        for name in NodeRow.__slots__:
            setattr(other, name, getattr(self, name))
        return other


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """How one try of a node run ended."""

    node_run: UUID
    fence: int
    outcome: str
    error: dict[str, Any] | None

    @classmethod
    def of(cls, row: NodeRow, outcome: str) -> "EndedAttempt":
        """The end of the try that the node run is in."""
        return cls(row.id, row.fence, outcome, row.error if outcome in ("failed", "timeout") else None)


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened, not yet numbered."""

    type: str
    node: NodeRow | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContextRow:
    """A write to a context key."""

    key: str
    seq: int
    rank: list[int]
    value: str
    node: str
    node_run_id: UUID | None

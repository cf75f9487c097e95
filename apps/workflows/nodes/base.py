"""What a handler is, and what it may answer."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias
from uuid import UUID

from apps.agents.context import Context
from apps.common.json import JSON
from apps.workflows.engine.spec import Node

WaitsFor = Literal["time", "event", "approval", "child", "items", "agent"]


@dataclass(frozen=True, slots=True)
class NodeError:
    """Why a node failed, and whether trying again may help."""

    code: str
    message: str
    retryable: bool = False
    retry_after: float | None = None  # seconds, where the other side said so
    deferred: bool = False  # nothing went wrong: there was no room for a call, and the attempt counts as none
    details: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """What expressions, the API and people see."""
        body: dict[str, Any] = {"code": self.code, "message": self.message, "retryable": self.retryable}
        return body | ({"details": dict(self.details)} if self.details else {})


@dataclass(frozen=True, slots=True)
class Completed:
    """The node is done."""

    output: JSON
    route: str | None = None  # the way the result names, beside a field `route` of the output
    refused: bool = False  # a person said no: edges that ask nothing are not taken
    by: Mapping[str, str] = field(default_factory=dict)  # who gave it, where that was a step of `degrade`


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed; the retry policy decides whether the node has."""

    error: NodeError


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A question to people."""

    message: str
    assignees: list[str]
    form: dict[str, Any] | None
    on_timeout: str
    payload: JSON


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """A run of another workflow."""

    workflow: str
    version: int | None
    input: JSON


@dataclass(frozen=True, slots=True)
class ItemsRequest:
    """The items that a map runs its inner node for."""

    items: list[JSON]


@dataclass(frozen=True, slots=True)
class EventRequest:
    """An event that somebody will send to the run, or has sent already."""

    event: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to execute now; `handler.due` answers when the time is over before the news comes."""

    waits_for: WaitsFor
    due_in: float | None = None  # seconds
    due_at: datetime | None = None
    request: ApprovalRequest | ChildRequest | ItemsRequest | EventRequest | None = None
    state: dict[str, Any] = field(default_factory=dict)


Outcome: TypeAlias = Completed | Failed | Waiting


class Deferred(BaseException):
    """A call cannot be made now, and the attempt ends with that; not an Exception, so that no agent takes it for an
    answer of the tool.
    """

    outcome: Failed | Waiting

    def __init__(self, error: NodeError) -> None:
        super().__init__(error.message)
        self.error = error
        self.outcome = Failed(error)


class NeedsNews(Deferred):
    """The attempt cannot go on without a person's decision or the end of another run.

    The node waits for that, and then comes to the same call again. `digest` names the very call, so that the news hold
    for it and for no other.
    """

    def __init__(self, request: ApprovalRequest | ChildRequest, digest: str) -> None:
        waits_for: WaitsFor = "approval" if isinstance(request, ApprovalRequest) else "child"
        BaseException.__init__(self, f"It waits for {waits_for}.")
        self.outcome = Waiting(waits_for, request=request, state={"asks": digest})


class LeftToAgent(Deferred):
    """An agent outside has the task of the node, or will fetch it: the node waits without a worker until it has ended.

    It then comes to the same task again, and finds what became of it.
    """

    def __init__(self, task: UUID) -> None:
        BaseException.__init__(self, "It waits for an agent outside.")
        self.outcome = Waiting("agent", state={"task": str(task)})


class NodeContext(Context):
    """What a handler that executes something sees of its run."""

    input: JSON
    on_unknown: str | None = None  # what the node says about calls that may have taken effect: ask | fail | retry
    stage: int | None = None  # the step of the node's `degrade` that is to be tried; None: its own agent
    asks_instead: str | None = None  # the language model that gets every question, whichever the agent names

    @abstractmethod
    def last_answer(self, oldest: float | None) -> JSON:
        """The last good answer of this node to the same input, as `{output, run, at}`; None where there is none.

        `oldest` is how many seconds old it may be.
        """

    @abstractmethod
    def call_own_tool(self, name: str, given: JSON) -> JSON:
        """Does the one call that the node is there for, and gives its result; so a new attempt may only take that."""


class InlineHandler(Protocol):
    """A node type that only decides: it is evaluated inside the transaction that starts it."""

    def begin(self, spec: Any, fields: Mapping[str, Any]) -> Outcome:
        """What the node does, from its rendered fields. Raises nothing: a bad value is a Failed."""

    def due(self, spec: Any, state: Mapping[str, Any]) -> Completed | Failed:
        """What follows when the node waited until its time was over."""


class WorkHandler(Protocol):
    """A node type that executes something: a worker runs it, outside any transaction."""

    def run(self, spec: Any, ctx: NodeContext) -> Completed:
        """The result; raises Retryable, Fatal or anything else to fail the attempt."""


def timed_out(spec: Node, what: str) -> Failed:
    """The failure of a node whose time was over."""
    return Failed(NodeError("timeout", f"{what} took longer than {spec.timeout:g} s.", retryable=True))


def invalid(message: str) -> Failed:
    """The failure of a node with a field that cannot be used."""
    return Failed(NodeError("invalid_field", message))

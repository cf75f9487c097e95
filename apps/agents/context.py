"""What an agent sees of the run it works in."""

import itertools
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import structlog

from apps.agents.bus.in_context import Messaging
from apps.common.asyncio_loop import Cancelled, run_coroutine
from apps.common.errors import Fatal
from apps.common.json import JSON
from apps.integrations import language_models, registry
from apps.integrations import services as tools
from apps.integrations.language_models import Conversation, Reply, Request, ask_plainly
from apps.integrations.tools import Log, ToolContext, never

if TYPE_CHECKING:  # behind these are rows, and a plugin is imported before there are any
    from apps.agents.memory.long_term import Kind, NewMemory, Scope
    from apps.agents.memory.memories import Recalled
    from apps.agents.memory.session import Session

USUAL_MEMORIES = 5


@dataclass(frozen=True)
class Decision:
    """What a person has decided: `decision` is `approve` or `reject`."""

    decision: str
    comment: str = ""
    by: str = ""

    @property
    def is_approved(self) -> bool:
        """Tell whether it may be done."""
        return self.decision == "approve"


class Context(Messaging):
    """The second argument of `prep`, `exec` and `post`: where the agent is and what it may ask of the run.

    - `organization_id`, `run_id`, `node`: for whom and where; run and node are None outside a workflow run.
    - `visit`: 1 the first time the run comes to this node, 2 the second time, in a cycle.
    - `attempt`: 1 the first time this visit is tried, higher after a failure or a crash.
    - `model`: the language model that the node names, if it names one.
    - `agent`: the name of the agent that is at work.
    - `session_name`: what the node's field `session` gives; `session` is the conversation of that name.
    - `tainted`: whether the agent was given or has read what came from outside (a result, a tainted turn or memory), so
      that what it writes may be somebody else's words. Set it where your code reads such things by itself.
    - Messages to and from other agents: `publish`, `receive`, `request`, `reply`, `broadcast`.
    - `log`: `ctx.log.info("Read the page.", bytes=1234)` writes a line that people see in the run's log.
    """

    organization_id: UUID
    run_id: UUID | None = None
    node: str | None = None
    visit: int = 1
    attempt: int = 1
    model: str | None = None
    agent: str = ""
    depth: int = 0  # of agents that ask agents
    session_name: JSON = None
    tainted: bool = False
    log: Log

    @abstractmethod
    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        """Call `fn(*args)` once for this visit and gives its result, also to later attempts.

        The result (it has to be JSON) is written to the run's journal. When the process dies and the node is
        tried again, the journal answers and `fn` is not called a second time. Steps are told apart by their
        order and `name`, so make them in the same order every time. What `fn` raises is not recorded.
        """

    @abstractmethod
    async def astep(self, name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Do what `step` does for an async `fn`: `await ctx.astep("fetch", fetch, url)`."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """True once somebody cancelled the run, its time is over, or another worker has taken the node."""

    @property
    def has_organization(self) -> bool:
        """True where `organization_id` is of an organization that has rows; false in tests of agents without one."""
        return True

    @property
    def overdue(self) -> bool:
        """True once the attempt has had all its time."""
        return False

    @property
    def is_over(self) -> bool:
        """True once nobody will want the result of this visit, also no other attempt."""
        return self.cancelled

    def hand_over(self, number: int) -> None:
        """Tell that another agent works at this visit now, the `number`-th: its steps and calls are its own."""

    @property
    def given_up(self) -> bool:
        """True once nobody will go on with this visit: what it has started elsewhere may be ended too.

        An attempt that is only `cancelled` may be followed by another, which goes on with that. Asks the database.
        """
        return self.cancelled

    @abstractmethod
    def progress(self, fraction: float | None, message: str = "") -> None:
        """Show how far the work is: a fraction from 0 to 1, or None when unknown, and a short message."""

    @abstractmethod
    def idempotency_key(self, call: int | None = None) -> str:
        """Give a key that is the same in every attempt of this visit and different anywhere else.

        `call` numbers several effects of one visit. `call_tool` does this by itself.
        """

    def key_of_ask(self) -> str:
        """Give the key of a task for an agent outside: the visit's own, and of each ask where another agent asks it."""
        if not self.depth:
            return self.idempotency_key()
        asks = self.__dict__.setdefault("_asks", itertools.count(1))
        return f"{self.idempotency_key()}:ask:{next(asks)}"

    def check_cancelled(self) -> None:
        """Raise Cancelled when the work is no longer wanted: call it in long loops of sync code."""
        if self.cancelled:
            raise Cancelled("The work was cancelled.")

    def call_tool(self, name: str, input: JSON = None) -> JSON:  # noqa: A002
        """Call a tool of the toolbelt and gives its result, recorded like a `step`.

        Raises NotFound for an unknown tool, Fatal `invalid_input` for input that does not fit, and whatever
        the tool raises: Retryable when trying again may help, Fatal when not. In async code use `acall_tool`.
        """
        self._is_told_by(name)
        return self._make_call(self._next_call(), name, input)

    async def acall_tool(self, name: str, input: JSON = None) -> JSON:  # noqa: A002
        """Do what `call_tool` does, for async code."""
        self._is_told_by(name)
        return await self._make_call_async(self._next_call(), name, input)

    def _make_call(self, call: int, name: str, given: JSON) -> JSON:
        result: JSON = self.step(f"tool:{name}", tools.invoke, name, given, self.tool_context(call))
        return result

    async def _make_call_async(self, call: int, name: str, given: JSON) -> JSON:
        result: JSON = await self.astep(f"tool:{name}", tools.ainvoke, name, given, self.tool_context(call))
        return result

    def _is_told_by(self, tool: str) -> None:
        """Note that a tool brings something from outside; one that only writes rows of ours does not."""
        known = registry.find(tool)
        self.tainted = self.tainted or known is None or known.effect != "write"

    def ask_model(self, request: Request) -> Reply:
        """Ask a language model and gives its answer, recorded like a `step`: an answer is paid for once.

        Raises NotFound for an unknown model, Retryable where trying again may help, Fatal where not. In async code
        use `aask_model`.
        """
        return run_coroutine(self.aask_model(request), cancelled=lambda: self.cancelled)

    async def aask_model(self, request: Request) -> Reply:
        """Do what `ask_model` does, for async code."""
        conversation: Conversation = self.__dict__.setdefault("_conversation", Conversation())
        known = conversation.common_with(request.messages)
        record = await self.astep(f"{language_models.STEP}{request.model}", self._ask, request, known)
        reply = language_models.reply_in(record)
        conversation.go_on(request.messages, reply)
        return reply

    async def aask_person(self, message: str, payload: JSON, assignees: Sequence[str] = ()) -> Decision:  # noqa: ARG002
        """Ask a person whether something may be done, and wait for as long as that takes.

        The decision holds for this very `payload`. In a run the node waits, without holding a worker; what it has done
        before is not done again. Raises Fatal `nobody_to_ask` outside of a run.
        """
        raise Fatal("Outside of a run nobody can be asked to approve this.", code="nobody_to_ask")

    async def arun_workflow(self, name: str, input: JSON) -> JSON:  # noqa: A002, ARG002
        """Run a workflow of the organization and give its output, recorded like a `step`: it is started once.

        Raises NotFound for an unknown workflow, Fatal for input that does not fit and for a run that fails, and Fatal
        `no_run` outside of a run.
        """
        raise Fatal(f"Outside of a run the workflow '{name}' cannot be run.", code="no_run")

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Have another agent work in this context: it asks its own model."""
        model, self.model, self.depth = self.model, None, self.depth + 1
        try:
            yield
        finally:
            self.model, self.depth = model, self.depth - 1

    async def _ask(self, request: Request, known: int) -> JSON:
        """The record of an answer, see `language_models.records`; outside of any organization nobody counts it."""
        return await ask_plainly(request, known)

    @cached_property
    def session(self) -> "Session | None":
        """The conversation that the node goes on with: `ctx.session.messages()`, `.add(...)`, `.window(tokens)`.

        None where the node names none. Raises Fatal `invalid_session` where it names what cannot be one.
        """
        from apps.agents.memory.session import Session, key_of  # noqa: PLC0415

        key = key_of(self.session_name)
        return Session(self, key) if key is not None else None

    def remember(
        self,
        text: str,
        *,
        kind: "Kind" = "note",
        importance: float = 0.5,
        tainted: bool | None = None,
        scope: "Scope" = "session",
    ) -> UUID:
        """Keep a text for later and give the memory's id, recorded like a `step`: a new attempt keeps it once.

        It is of the session, where the node names one, and found by every agent there; with `scope="agent"`, and
        without a session, it is of this agent in all its sessions. `importance` is above 0 and at most 1. `tainted`
        says whether it was made of what came from outside: without it that is what `ctx.tainted` says. Raises Fatal
        `invalid_memory` for what cannot be one. In async code use `aremember`.
        """
        new = self._new_memory(text, kind, importance, tainted, scope)
        return UUID(self.step("memory:remember", _long_term().remember, self, new))

    async def aremember(
        self,
        text: str,
        *,
        kind: "Kind" = "note",
        importance: float = 0.5,
        tainted: bool | None = None,
        scope: "Scope" = "session",
    ) -> UUID:
        """Do what `remember` does, for async code."""
        new = self._new_memory(text, kind, importance, tainted, scope)
        return UUID(await self.astep("memory:remember", _long_term().aremember, self, new))

    def recall(self, query: str, *, limit: int = USUAL_MEMORIES) -> "list[Recalled]":
        """Give the memories that have most to do with a text, the best first; of the session and of this agent.

        Each has its `text`, `score` and `why`. Recorded like a `step`: a new attempt is given the same ones. They are
        what was written down once, so show them to a model as data. In async code use `arecall`.
        """
        written = self.step("memory:recall", _long_term().recall, self, query, limit)
        found: list[Recalled] = _long_term().recalled(self, written)
        return found

    async def arecall(self, query: str, *, limit: int = USUAL_MEMORIES) -> "list[Recalled]":
        """Do what `recall` does, for async code."""
        written = await self.astep("memory:recall", _long_term().arecall, self, query, limit)
        found: list[Recalled] = _long_term().recalled(self, written)
        return found

    def _new_memory(self, text: str, kind: str, importance: float, tainted: bool | None, scope: str) -> "NewMemory":
        number = next(self.__dict__.setdefault("_memories", itertools.count(1)))
        new: NewMemory = _long_term().NewMemory(
            text=text,
            kind=kind,
            importance=importance,
            tainted=self.tainted if tainted is None else tainted,
            scope=scope,
            origin=f"{self.idempotency_key()}:memory:{number}",
        )
        return new

    def tool_context(self, call: int) -> ToolContext:
        """Give what the tool sees that is called as this call of the visit."""
        return ToolContext(
            organization_id=self.organization_id,
            idempotency_key=self.idempotency_key(call),
            run_id=self.run_id,
            node=self.node,
            log=self.log,
            cancelled=lambda: self.cancelled,
        )

    def _next_call(self) -> int:
        # Made on first use: implementations need not call super().__init__().
        calls = self.__dict__.setdefault("_calls", itertools.count(1))
        return int(next(calls))


def _long_term() -> ModuleType:
    from apps.agents.memory import long_term  # noqa: PLC0415

    return long_term


class LocalContext(Context):
    """A Context outside any run: for one call over the API or the command line, and for tests of agents.

    Steps are called directly and progress stays in memory; `cancel()` cancels. `key` is the idempotency key. What it
    remembers is kept for the organization that it is given; without one nothing can be. Of an organization the models
    are those it has set up, and what they cost is counted as that of `agent` and `caller`; without one there are only
    the models that code brings. `hear` is told the answers of models as they come.
    """

    def __init__(
        self,
        organization_id: UUID | None = None,
        *,
        node: str | None = None,
        visit: int = 1,
        attempt: int = 1,
        key: str | None = None,
        log: Log | None = None,
        cancelled: Callable[[], bool] = never,
        agent: str = "",
        session: str | None = None,
        caller: str = "",
        hear: Callable[[str], None] | None = None,
    ) -> None:
        self._is_accounted = organization_id is not None
        self._caller, self._hear = caller, hear
        self.organization_id = organization_id or uuid4()
        self.agent, self.session_name = agent, session
        self.node, self.visit, self.attempt = node, visit, attempt
        self.log = log or structlog.get_logger("orchestra.agents")
        self.reports: list[tuple[float | None, str]] = []  # what `progress` was told
        self.cost_micro_usd = 0  # of the models that have answered
        self._key = key or f"local:{uuid4()}"
        self._asked_to_stop = False
        self._is_cancelled = cancelled

    @property
    def has_organization(self) -> bool:
        return self._is_accounted

    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        return fn(*args)

    async def astep(self, name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:  # noqa: ARG002
        return await fn(*args)

    async def _ask(self, request: Request, known: int) -> JSON:
        if not self._is_accounted:
            return await super()._ask(request, known)
        from apps.integrations.language_models.asking import Asker, ask  # noqa: PLC0415 - Django may not be set up
        from apps.integrations.language_models.records import deaf  # noqa: PLC0415
        from apps.observability.services.accounting import BudgetReached, Origin  # noqa: PLC0415

        origin = Origin(organization_id=self.organization_id, agent=self.agent, caller=self._caller)
        try:
            record = await ask(request, known, Asker(origin, self._hear or deaf))
        except BudgetReached as reached:
            raise Fatal(str(reached), code="budget_reached") from None
        self.cost_micro_usd += record["usage"]["cost_micro_usd"]
        return record

    @property
    def cancelled(self) -> bool:
        return self._asked_to_stop or self._is_cancelled()

    def cancel(self) -> None:
        """Make `cancelled` true."""
        self._asked_to_stop = True

    def progress(self, fraction: float | None, message: str = "") -> None:
        self.reports.append((fraction, message))

    def idempotency_key(self, call: int | None = None) -> str:
        return self._key if call is None else f"{self._key}:{call}"

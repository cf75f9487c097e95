"""What an agent sees of the run it works in."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import structlog

from apps.common.asyncio_loop import Cancelled, run_coroutine
from apps.common.json import JSON
from apps.integrations import language_models
from apps.integrations import services as tools
from apps.integrations.language_models import Conversation, Reply, Request
from apps.integrations.tools import Log, ToolContext, never


class Context(ABC):
    """The second argument of `prep`, `exec` and `post`: where the agent is and what it may ask of the run.

    - `organization_id`, `run_id`, `node`: for whom and where; run and node are None outside a workflow run.
    - `visit`: 1 the first time the run comes to this node, 2 the second time, in a cycle.
    - `attempt`: 1 the first time this visit is tried, higher after a failure or a crash.
    - `model`: the language model that the node names, if it names one.
    - `log`: `ctx.log.info("Read the page.", bytes=1234)` writes a line that people see in the run's log.
    """

    organization_id: UUID
    run_id: UUID | None = None
    node: str | None = None
    visit: int = 1
    attempt: int = 1
    model: str | None = None
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
    def overdue(self) -> bool:
        """True once the attempt has had all its time."""
        return False

    @property
    def is_over(self) -> bool:
        """True once nobody will want the result of this visit, also no other attempt."""
        return self.cancelled

    def hand_over(self, number: int) -> None:  # noqa: B027 - there may be nothing to do
        """Tell that another agent works at this visit now, the `number`-th: its steps and calls are its own."""

    @abstractmethod
    def progress(self, fraction: float | None, message: str = "") -> None:
        """Show how far the work is: a fraction from 0 to 1, or None when unknown, and a short message."""

    @abstractmethod
    def idempotency_key(self, call: int | None = None) -> str:
        """Give a key that is the same in every attempt of this visit and different anywhere else.

        `call` numbers several effects of one visit. `call_tool` does this by itself.
        """

    def check_cancelled(self) -> None:
        """Raise Cancelled when the work is no longer wanted: call it in long loops of sync code."""
        if self.cancelled:
            raise Cancelled("The work was cancelled.")

    def call_tool(self, name: str, input: JSON = None) -> JSON:  # noqa: A002
        """Call a tool of the toolbelt and gives its result, recorded like a `step`.

        Raises NotFound for an unknown tool, Fatal `invalid_input` for input that does not fit, and whatever
        the tool raises: Retryable when trying again may help, Fatal when not. In async code use `acall_tool`.
        """
        return self._make_call(self._next_call(), name, input)

    async def acall_tool(self, name: str, input: JSON = None) -> JSON:  # noqa: A002
        """Do what `call_tool` does, for async code."""
        return await self._make_call_async(self._next_call(), name, input)

    def _make_call(self, call: int, name: str, given: JSON) -> JSON:
        result: JSON = self.step(f"tool:{name}", tools.invoke, name, given, self.tool_context(call))
        return result

    async def _make_call_async(self, call: int, name: str, given: JSON) -> JSON:
        result: JSON = await self.astep(f"tool:{name}", tools.ainvoke, name, given, self.tool_context(call))
        return result

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
        record = await self.astep(f"{language_models.STEP}{request.model}", language_models.ask, request, known)
        reply = language_models.reply_in(record)
        conversation.go_on(request.messages, reply)
        return reply

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


class LocalContext(Context):
    """A Context outside any run: for one call over the API or the command line, and for tests of agents.

    Steps are called directly and progress stays in memory; `cancel()` cancels. `key` is the idempotency key.
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
    ) -> None:
        self.organization_id = organization_id or uuid4()
        self.node, self.visit, self.attempt = node, visit, attempt
        self.log = log or structlog.get_logger("orchestra.agents")
        self.reports: list[tuple[float | None, str]] = []  # what `progress` was told
        self._key = key or f"local:{uuid4()}"
        self._asked_to_stop = False
        self._is_cancelled = cancelled

    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        return fn(*args)

    async def astep(self, name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:  # noqa: ARG002
        return await fn(*args)

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

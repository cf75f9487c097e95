"""The life of an agent made of a prompt: ask the model, do what it asks for, ask again, until there is an answer.

Every question and every call is a step of the visit's journal, so a new attempt comes to the first one without a
result and pays for nothing twice. For that all of them are made in the same order every time: only tools that merely
read run beside each other, and their places are given out before any of them begins.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from apps.agents.context import Context
from apps.agents.llm import guardrails, pii
from apps.agents.llm.guardrails import Fault
from apps.agents.llm.offers import Offer, Refused, offers_of
from apps.agents.llm.prompt import opening
from apps.agents.llm.spec import AgentSpec
from apps.agents.memory.assistance import closing_with_memory, opening_with_memory
from apps.common.errors import Fatal, NotFound
from apps.common.json import JSON, dumps
from apps.integrations.language_models.shapes import Attachment, Message, Reply, Request, ToolCall

MICRO = 1_000_000


@dataclass(frozen=True)
class Task:
    """What an agent is to do: words, what it is to read beside them, and what was said before."""

    text: str
    material: Sequence[str] = ()
    history: Sequence[Message] = ()
    attachments: Sequence[Attachment] = ()
    is_tainted: bool = False  # whether somebody else's words may be behind the task itself


@dataclass(frozen=True)
class Answer:
    """What came of it: `output` is what fits the agent's output schema, or what another agent gave in its place."""

    output: JSON
    text: str
    model: str
    is_demo: bool
    turns: int
    tokens: int
    cost_micro_usd: int
    is_tainted: bool
    messages: Sequence[Message] = field(default=(), repr=False)


async def answer(spec: AgentSpec, task: Task, ctx: Context) -> Answer:
    """Give the agent's answer.

    Raises NotFound for a model, tool, agent or workflow that is not there; Fatal `limit_*` at one of its limits, and
    with the code of what is wrong where the answer does not fit after as many tries as its guardrails allow; and what
    models and tools raise.
    """
    return await _Life(spec, task, ctx, await offers_of(spec, ctx)).live()


class _Life:
    """One visit of the agent."""

    def __init__(self, spec: AgentSpec, task: Task, ctx: Context, offers: dict[str, Offer]) -> None:
        self.spec, self.ctx, self.offers = spec, ctx, offers
        self.model = ctx.model or spec.model
        self.messages = list(opening(spec.instructions, task.text, task.material, task.history))
        if task.attachments:
            asked = self.messages.pop()
            self.messages.append(asked.model_copy(update={"attachments": tuple(task.attachments)}))
        # Of the visit and not of this agent: whom it asks, its session and its memories have to know it too.
        ctx.tainted = ctx.tainted or task.is_tainted or bool(task.material)
        self.turns = self.calls = self.tokens = self.cost = self.faults = 0

    async def live(self) -> Answer:
        """See `answer`: with what is remembered before it, and what is worth remembering after it."""
        about: dict[str, Any] = {"model": self.model, "options": dict(self.spec.options)}
        self.messages = await opening_with_memory(self.ctx, self.messages, self.spec.memory, **about)
        begin = len(self.messages) - 1  # of what is said here
        found = await self._work()
        await closing_with_memory(self.ctx, self.messages[begin:], self.spec.memory, **about)
        return found

    async def _work(self) -> Answer:
        while True:
            reply = await self._ask()
            self.messages.append(reply.message)
            if reply.message.tool_calls:
                if (final := await self._do(reply.message.tool_calls, reply)) is not None:
                    return final
                continue
            output, text, fault = await self._read(reply)
            if fault is None:
                return self._answer(reply, output, text)
            self._object(fault)

    async def _ask(self) -> Reply:
        self._check_limits()
        self.turns += 1
        self.ctx.progress(None, f"Asks {self.model}" + (f", turn {self.turns}" if self.turns > 1 else ""))
        request = Request(
            model=self.model,
            messages=tuple(self.messages),
            tools=tuple(offer.as_tool() for offer in self.offers.values()),
            output_schema=self.spec.output_schema,
            options=self.spec.options,
            attempt=self.ctx.attempt,
        )
        reply = await self.ctx.aask_model(request)
        self.tokens += reply.usage.input_tokens + reply.usage.output_tokens
        self.cost += reply.usage.cost_micro_usd
        return reply

    def _check_limits(self) -> None:
        limits = self.spec.limits
        if self.turns >= limits.turns:
            _stop("turns", f"asked its model {self.turns} times and gave no answer")
        if limits.tokens is not None and self.tokens >= limits.tokens:
            _stop("tokens", f"used {self.tokens:,} tokens")
        if limits.cost_usd is not None and self.cost >= limits.cost_usd * MICRO:
            _stop("cost", f"spent ${self.cost / MICRO:g}")

    # ---- calls ------------------------------------------------------------------------------------

    async def _do(self, wanted: Sequence[ToolCall], reply: Reply) -> Answer | None:
        """Do what the model asks for; the answer, where another agent has taken the task over."""
        self.calls += len(wanted)
        if self.calls > self.spec.limits.tool_calls:
            _stop("tool_calls", f"asked for {self.calls} calls")
        if (handoff := next(filter(self._is_handoff, wanted), None)) is not None:
            return await self._hand_off(handoff, wanted, reply)
        tainted = self.ctx.tainted
        together = [call for call in wanted if (offer := self._offer(call)) and offer.is_parallel]
        told = dict(zip((id(call) for call in together), await self._together(together, tainted), strict=True))
        for call in wanted:
            if id(call) not in told:
                told[id(call)] = await self._done(call, tainted)
        self.messages += [told[id(call)] for call in wanted]
        return None

    async def _hand_off(self, handoff: ToolCall, wanted: Sequence[ToolCall], reply: Reply) -> Answer | None:
        """What the other agent answers; None where the task is not left to it, which the model is told."""
        try:
            output, is_refused = await self.offers[handoff.name].call(handoff, self.ctx.tainted), False
        except Refused as why:
            output, is_refused = {"error": str(why)}, True
        self.ctx.tainted = self.ctx.tainted or not is_refused
        self.messages += [_told(call, output if call is handoff else {"error": "Not done."}) for call in wanted]
        return None if is_refused else self._answer(reply, output, "")

    async def _together(self, calls: Sequence[ToolCall], tainted: bool) -> Sequence[Message]:
        return await asyncio.gather(*(self._done(call, tainted) for call in calls))

    def _is_handoff(self, call: ToolCall) -> bool:
        offer = self._offer(call)
        return offer is not None and offer.is_handoff and bool(call.arguments.get("task"))

    def _offer(self, call: ToolCall) -> Offer | None:
        return self.offers.get(call.name)

    async def _done(self, call: ToolCall, tainted: bool) -> Message:
        """What a call gave; what it refuses is told to the model, which may do better."""
        offer = self._offer(call)
        if offer is None:
            return _told(call, {"error": f"There is no tool '{call.name}' here."})
        if call.invalid is not None:
            return _told(call, {"error": "The arguments were no JSON object. Call it again with one."})
        try:
            result = await offer.call(call, tainted)
        except Refused as refused:
            return _told(call, {"error": str(refused)})
        except (Fatal, NotFound) as failed:
            result = {"error": str(failed)}  # may be in the words of whoever was called
        self.ctx.tainted = True
        return _told(call, result)

    # ---- answers ----------------------------------------------------------------------------------

    async def _read(self, reply: Reply) -> tuple[JSON, str, Fault | None]:
        """The answer as it is given on, and what is wrong with it."""
        text, output, fault = reply.message.content, None, None
        if self.spec.guardrails.pii == "redact":
            text = pii.redacted(text)
        if self.spec.output_schema is not None:
            output, fault = guardrails.parsed(text, self.spec.output_schema)
        return output, text, fault or await guardrails.fault_of(text, self.spec, self.ctx, self.model)

    def _object(self, fault: Fault) -> None:
        """Have the model try again, for as often as it may."""
        self.faults += 1
        if self.faults > self.spec.guardrails.retries:
            raise Fatal(f"{fault.words} The agent tried {self.faults} times.", code=fault.code)
        self.ctx.log.warning("The answer was not taken.", code=fault.code, reason=fault.words)
        self.messages.append(Message(role="user", content=fault.words))

    def _answer(self, reply: Reply, output: JSON, text: str) -> Answer:
        return Answer(
            output=output,
            text=text,
            model=reply.model,
            is_demo=reply.is_demo,
            turns=self.turns,
            tokens=self.tokens,
            cost_micro_usd=self.cost,
            is_tainted=self.ctx.tainted,
            messages=tuple(self.messages),
        )


def _told(call: ToolCall, result: JSON) -> Message:
    return Message(role="tool", tool_call_id=call.id, content=dumps(result).decode())


def _stop(limit: str, what: str) -> NoReturn:
    raise Fatal(
        f"The agent {what}: its limit is reached. Raise 'limits.{limit}', or ask for less.", code=f"limit_{limit}"
    )

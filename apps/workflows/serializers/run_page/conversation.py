"""What was said to a language model and what it answered, out of the records in a visit's journal.

The calls by which that came about, also those without an answer, come from what was noted of their cost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.common.json import dumps
from apps.integrations.language_models import STEP
from apps.observability.models import Usage
from apps.observability.selectors.usage import of_node_run
from apps.workflows.models import NodeRun, Run
from apps.workflows.store import journal

LONGEST = 20_000  # characters of a contribution on the page; the rest is in the node's input and output
MOST_CALLS = 100  # on the page; under Usage are all of them
ENDINGS = {  # why an answer is no longer; one that is complete says nothing
    "length": "It ends here because it has reached its longest length: raise max_tokens.",
    "filter": "The provider held the rest of it back.",
}


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that the model asked for, with what it said."""

    name: str
    arguments: str
    result: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What an answer took."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micro_usd: int = 0
    is_priced: bool = True


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A model that was to answer and did not: why, and how many seconds it was tried."""

    model: str
    code: str
    seconds: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model, whether it was answered or not."""

    noted: Usage
    passed_over: Sequence[PassedOver]

    @property
    def is_answered(self) -> bool:
        """Tell whether there is an answer, from the model or from the cache."""
        return self.noted.outcome in {Usage.Outcome.ANSWERED, Usage.Outcome.CACHED}

    @property
    def look(self) -> str:
        """Give the status whose look its outcome has."""
        looks = {Usage.Outcome.UNDER_WAY: "running", Usage.Outcome.LOST: "cancelled", Usage.Outcome.FAILED: "failed"}
        return looks.get(Usage.Outcome(self.noted.outcome), "completed")

    @property
    def seconds(self) -> float | None:
        """Give how long it took."""
        return _seconds(self.noted.total_ms)

    @property
    def first_token_seconds(self) -> float | None:
        """Give how long it took until its answer began."""
        return _seconds(self.noted.first_token_ms)


@dataclass(frozen=True, slots=True)
class Said:
    """One contribution: who spoke, what, and for an answer what it took."""

    role: str
    text: str
    is_cut: bool = False
    tools: Sequence[ToolUse] = ()
    model: str = ""
    served_by: str = ""
    passed_over: Sequence[PassedOver] = ()
    is_cached: bool = False
    seconds: float | None = None
    first_token_seconds: float | None = None
    took: Figures = field(default_factory=Figures)
    ending: str = ""

    @property
    def is_folded(self) -> bool:
        """Tell whether it is shown closed at first: instructions are the same every time."""
        return self.role == "system"


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that was said in a visit, and what it took together."""

    said: Sequence[Said]
    models: Sequence[str]
    is_demo: bool
    answers: int
    seconds: float
    input_tokens: int
    output_tokens: int
    cost_micro_usd: int
    unpriced: int
    calls: Sequence[Call]
    options: str = ""
    tools: Sequence[str] = field(default_factory=tuple)

    @property
    def unanswered(self) -> int:
        """Count the calls that have ended without an answer."""
        return sum(not call.is_answered and call.look != "running" for call in self.calls)


def conversation_of(run: Run, found: NodeRun) -> Conversation:
    """Give the conversation of a node run's latest state; its earlier answers are not asked for again."""
    steps = journal.read(run.organization_id, found.pk)
    records: list[Any] = [result for _, (name, result) in sorted(steps.items()) if name.startswith(STEP)]
    said = list(_said(records))
    options = records[0].get("options") if records else None
    return Conversation(
        said=said,
        models=list(dict.fromkeys(record["model"] for record in records)),
        is_demo=any(record["is_demo"] for record in records),
        answers=len(records),
        seconds=sum(record["seconds"] for record in records),
        input_tokens=sum(one.took.input_tokens for one in said if not one.is_cached),
        output_tokens=sum(one.took.output_tokens for one in said if not one.is_cached),
        cost_micro_usd=sum(one.took.cost_micro_usd for one in said),
        unpriced=sum(not one.took.is_priced for one in said if not one.is_cached),
        calls=[_call(call) for call in of_node_run(run.pk, found.pk)[:MOST_CALLS]],
        options=dumps(options).decode() if options else "",
        tools=records[0].get("tools", ()) if records else (),
    )


def _call(noted: Usage) -> Call:
    return Call(noted, [_passed_over(one) for one in noted.passed_over])


def _passed_over(one: Mapping[str, Any]) -> PassedOver:
    return PassedOver(one["model"], one.get("code", ""), _seconds(one.get("ms")), one.get("reason", ""))


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _said(records: Sequence[Mapping[str, Any]]) -> Iterator[Said]:
    results = {
        message["tool_call_id"]: message.get("content", "")
        for record in records
        for message in record["messages"]
        if message["role"] == "tool"
    }
    for record in records:
        for message in record["messages"]:
            if message["role"] != "tool":  # it stands with the call that it answers
                yield Said(message["role"], **_text(message))
        yield _answer(record, results)


def _answer(record: Mapping[str, Any], results: Mapping[str, str]) -> Said:
    reply, usage = record["reply"], record["usage"]
    return Said(
        role="assistant",
        **_text(reply),
        tools=[_tool_use(call, results) for call in reply.get("tool_calls", ())],
        model=record["model"],
        served_by=record.get("served_by", ""),
        passed_over=[_passed_over(one) for one in record.get("passed_over", ())],
        is_cached=record.get("is_cached", False),
        seconds=record["seconds"],
        first_token_seconds=record.get("first_token_seconds"),
        took=Figures(**{name: usage[name] for name in Figures.__slots__ if name in usage}),
        ending=ENDINGS.get(record.get("ended", ""), ""),
    )


def _tool_use(call: Mapping[str, Any], results: Mapping[str, str]) -> ToolUse:
    arguments = dumps(call.get("arguments", {})).decode()
    return ToolUse(call["name"], arguments[:LONGEST], results.get(call["id"], "")[:LONGEST])


def _text(message: Mapping[str, Any]) -> dict[str, Any]:
    text = message.get("content", "")
    return {"text": text[:LONGEST], "is_cut": len(text) > LONGEST}

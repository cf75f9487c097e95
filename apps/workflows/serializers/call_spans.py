"""The calls of a node run as spans: models that were asked, tools that were called, and steps; never what was said.

The names are those of OpenTelemetry: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
What it has no name for begins with `orchestra.`
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from apps.integrations.language_models.records import STEP
from apps.integrations.language_models.resolving import telemetry_names
from apps.observability.models import Usage
from apps.observability.selectors import usage
from apps.observability.selectors.usage import Sums
from apps.workflows import selectors
from apps.workflows.models import Effect, JournalEntry, Run, RunEvent
from apps.workflows.serializers.spans import SpanView, code_of, new_span

TOOL = "tool:"  # what the name of a tool's call begins with in a journal
_OUTCOMES: Mapping[str, str] = {  # of effects, in the words that calls of models have
    Effect.State.PLANNED: Usage.Outcome.FAILED,
    Effect.State.SENT: Usage.Outcome.UNDER_WAY,
    Effect.State.CONFIRMED: Usage.Outcome.ANSWERED,
    Effect.State.FAILED: Usage.Outcome.FAILED,
    Effect.State.UNKNOWN: Usage.Outcome.LOST,
}
ParentAt = Callable[[datetime | None], str]  # the span in which something happened at that time
NewSpan = Callable[..., SpanView]


@dataclass(frozen=True, slots=True)
class Calls:
    """What is known of the calls of a node run, from the four places where they are noted."""

    asked: list[Usage] = field(default_factory=list)
    told: list[RunEvent] = field(default_factory=list)  # calls of tools that a model has asked for
    sent: list[Effect] = field(default_factory=list)
    recorded: list[JournalEntry] = field(default_factory=list)
    providers: Mapping[str, str] = field(default_factory=dict)  # what OpenTelemetry calls them


def calls_of(run: Run) -> Mapping[UUID | None, Calls]:
    """Give the calls of a run, by node run."""
    found: dict[UUID | None, Calls] = defaultdict(partial(Calls, providers=telemetry_names()))
    for call in usage.calls(run=run.pk).order_by("created_at", "id"):
        found[call.node_run_id].asked.append(call)
    for event in RunEvent.objects.filter(run=run, type="tool.called").order_by("seq"):
        found[event.node_run_id].told.append(event)
    for effect in selectors.effects(run).defer("preview", "result").order_by("created_at", "id"):
        found[effect.node_run_id].sent.append(effect)
    for entry in JournalEntry.objects.filter(node_run__run=run).defer("result").order_by("position"):
        found[entry.node_run_id].recorded.append(entry)
    return found


def spans_of(calls: Calls, trace: str, parent_at: ParentAt) -> list[SpanView]:
    """Give the calls in the order in which they began, each once, however many places have noted it."""
    new = partial(new_span, trace=trace)
    spans = [
        *(_model(new, parent_at, call, calls.providers) for call in calls.asked),
        *_tools(new, parent_at, calls),
        *(_step(new, parent_at, entry) for entry in calls.recorded if _is_step(entry, calls)),
    ]
    return sorted(spans, key=lambda span: (span.start_time is None, span.start_time))


def spent(counted: Usage | Sums, *, is_priced: bool) -> dict[str, Any]:
    """Give what calls took as attributes: tokens, and money in millionths of a dollar."""
    return {
        "gen_ai.usage.input_tokens": counted.input_tokens,
        "gen_ai.usage.cache_read.input_tokens": counted.cached_tokens,
        "gen_ai.usage.output_tokens": counted.output_tokens,
        "gen_ai.usage.reasoning.output_tokens": counted.reasoning_tokens,
        "orchestra.cost.micro_dollars": counted.cost_micro_usd,
        "orchestra.cost.is_priced": is_priced,
    }


# ---- models -----------------------------------------------------------------------------------------


def _model(new: NewSpan, parent_at: ParentAt, call: Usage, providers: Mapping[str, str]) -> SpanView:
    began, took = call.created_at, call.total_ms
    provider, _, served = call.served_by.partition("/")
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": providers.get(provider, provider) or None,
        "gen_ai.request.model": call.model,
        "gen_ai.response.model": served or None,
        "gen_ai.response.time_to_first_chunk": None if call.first_token_ms is None else call.first_token_ms / 1000,
        "gen_ai.agent.name": call.agent or None,
        "error.type": call.error or None,
        "orchestra.call.outcome": call.outcome,
        **spent(call, is_priced=call.is_priced),
        **({} if call.is_priced else {"orchestra.cost.micro_dollars": None}),
        **_passed_over(call),
    }
    return new(
        f"usage:{call.pk}",
        f"chat {call.model}",
        parent=parent_at(began),
        times=(began, None if took is None else began + timedelta(milliseconds=took)),
        status=call.outcome,
        attributes=attributes,
        kind="CLIENT",
    )


def _passed_over(call: Usage) -> dict[str, Any]:
    """The models that were to answer before, as lists beside each other: OpenTelemetry's values have no objects."""
    if not call.passed_over:
        return {}
    columns = {"models": "model", "errors": "code", "ms": "ms"}
    return {f"orchestra.passed_over.{name}": [one[key] for one in call.passed_over] for name, key in columns.items()}


# ---- tools ------------------------------------------------------------------------------------------


def _tools(new: NewSpan, parent_at: ParentAt, calls: Calls) -> Iterator[SpanView]:
    """The calls of tools: as they were told, and beside these what only the ledger or the journal has."""
    effects = {effect.call: effect for effect in calls.sent if effect.tool}
    last = {event.data["call"]: event for event in calls.told}
    for event in calls.told:
        effect = effects.get(event.data["call"]) if last[event.data["call"]] is event else None
        yield _told(new, parent_at, event, effect)
    recorded = [entry for entry in calls.recorded if entry.name.startswith(TOOL)]
    answered = {event.data["step"] for event in calls.told if event.data["outcome"] == Usage.Outcome.ANSWERED}
    for entry in recorded:
        if entry.position not in answered:
            yield _recorded(new, parent_at, entry)
    for number, effect in effects.items():
        is_recorded = effect.state == Effect.State.CONFIRMED and number > 0
        if number not in last and not is_recorded:
            yield _sent(new, parent_at, effect)


def _told(new: NewSpan, parent_at: ParentAt, event: RunEvent, effect: Effect | None) -> SpanView:
    facts = event.data
    began = datetime.fromisoformat(facts["started_at"])
    is_lost = effect is not None and _state(effect) == Effect.State.UNKNOWN
    return _tool(
        partial(new, f"event:{event.pk}", parent=parent_at(began)),
        facts["tool"],
        (began, began + timedelta(seconds=facts["seconds"])),
        Usage.Outcome.LOST if is_lost else facts["outcome"],
        error=facts.get("error"),
        call_id=facts["call_id"],
    )


def _recorded(new: NewSpan, parent_at: ParentAt, entry: JournalEntry) -> SpanView:
    place = partial(new, f"journal:{entry.pk}", parent=parent_at(entry.started_at))
    name = entry.name.removeprefix(TOOL)
    return _tool(place, name, (entry.started_at, entry.created_at), Usage.Outcome.ANSWERED)


def _sent(new: NewSpan, parent_at: ParentAt, effect: Effect) -> SpanView:
    place = partial(new, f"effect:{effect.pk}", parent=parent_at(effect.sent_at))
    outcome = _OUTCOMES[_state(effect)]
    return _tool(place, effect.tool, (effect.sent_at, effect.settled_at), outcome, error=code_of(effect.error))


def _tool(
    new: NewSpan,
    name: str,
    times: tuple[datetime | None, datetime | None],
    outcome: str,
    *,
    error: str | None = None,
    call_id: str | None = None,
) -> SpanView:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "error.type": error,
        "orchestra.call.outcome": outcome,
    }
    return new(f"execute_tool {name}", times=times, status=outcome, attributes=attributes)


def _state(effect: Effect) -> str:
    """Its state as far as anybody can tell, see `selectors.effects`."""
    known: str = getattr(effect, "known", effect.state)
    return known


# ---- steps ------------------------------------------------------------------------------------------


def _is_step(entry: JournalEntry, calls: Calls) -> bool:
    """Whether it is neither a tool's call nor a question to a model that was counted, which have spans already."""
    return not entry.name.startswith(TOOL) and not (calls.asked and entry.name.startswith(STEP))


def _step(new: NewSpan, parent_at: ParentAt, entry: JournalEntry) -> SpanView:
    return new(
        f"journal:{entry.pk}",
        f"step {entry.name}",
        parent=parent_at(entry.started_at),
        times=(entry.started_at, entry.created_at),
        status="completed",
        attributes={},
    )

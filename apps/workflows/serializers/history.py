"""What happened in a run, in sentences for people."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.common.money import usd
from apps.workflows.engine.degrading import in_words
from apps.workflows.models import RunEvent

Facts = Mapping[str, Any]


def report_in_words(report: Facts) -> str:
    """Write a report in one line, as static/js/run_model.js does: 40 %: half."""
    fraction, message = report.get("fraction"), str(report.get("message") or "")
    parts = [f"{fraction * 100:.0f} %"] if isinstance(fraction, int | float) else []
    return ": ".join([*parts, message] if message else parts)


# What is not here tells people nothing that another event does not.
_SENTENCES: dict[str, Callable[[Facts], str]] = {
    "run.started": lambda _: "The run started",
    "run.paused": lambda facts: f"Paused by {facts.get('by')}{_why(facts)}",
    "run.resumed": lambda facts: f"Resumed by {facts.get('by')}",
    "run.completed": lambda _: "The run completed",
    "run.failed": lambda facts: f"The run failed: {_message(facts)}",
    "run.cancelled": lambda facts: f"Cancelled by {facts.get('by')}",
    "node.started": lambda facts: "started" if facts.get("attempt", 1) == 1 else f"started, attempt {facts['attempt']}",
    "node.progress": report_in_words,
    "llm.called": lambda facts: f"asked {facts.get('model')}: {_took(facts)}",
    "tool.called": lambda facts: f"called {facts.get('tool')}: {_ended(facts)}",
    "node.waiting": lambda facts: f"waits for {_waited_for(facts)}",
    "node.retrying": lambda facts: f"{_what_follows(facts)} in {facts.get('delay', 0):.1f} s: {_message(facts)}",
    "node.degraded": lambda facts: f"goes on with {_step(facts)}: {_message(facts)}",
    "node.completed": lambda facts: f"completed{_how(facts.get('degraded'))}",
    "node.failed": lambda facts: f"failed: {_message(facts)}",
    "node.cancelled": lambda _: "cancelled",
    "node.skipped": lambda _: "skipped",
}


def sentence(event: RunEvent) -> str | None:
    """What an event says to a person, without the node's name; None for what only the engine reads."""
    if event.type == "node.queued":
        return _queued_again(event.data)
    say = _SENTENCES.get(event.type)
    return say(event.data) if say else None


def place(event: RunEvent) -> str:
    """The node that an event is about: `review`, `review #2` the second time, `review[3]` for an item of a map."""
    name = event.node or str(event.data.get("node", ""))
    visit = f" #{event.visit}" if event.visit and event.visit > 1 else ""
    return f"{name}{visit}" if event.index is None or event.index < 0 else f"{name}{visit}[{event.index}]"


def _queued_again(facts: Facts) -> str | None:
    reasons = {
        "retry": "is tried again",
        "decided": "goes on: somebody has decided",
        "child_ended": "goes on: the run it waited for has ended",
        "agent_ended": "goes on: sees what became of the agent's task",
        "worker_lost": "is queued again: its worker died",
        "worker_stopped": "is queued again: its worker stopped",
    }
    reason = facts.get("reason")
    return reasons.get(reason, f"is queued again: {reason}") if reason and reason != "fork" else None


def _step(facts: Facts) -> str:
    return in_words(str(facts.get("step")), str(facts.get("name", "")))


def _how(degraded: Facts | None) -> str:
    return f", degraded: answered by {_step(degraded)}" if degraded else ""


def _why(facts: Facts) -> str:
    return f": {facts['reason']}" if facts.get("reason") else ""


def _took(facts: Facts) -> str:
    """What a call of a language model took."""
    tokens = f"{facts.get('input_tokens', 0):,} tokens in, {facts.get('output_tokens', 0):,} out"
    cost = facts.get("cost_micro_usd") or 0
    return f"{tokens}, ${usd(cost)}" if cost else tokens


def _ended(facts: Facts) -> str:
    """How a call of a tool ended."""
    seconds = f"{facts.get('seconds', 0):.1f} s"
    error = facts.get("error")
    return f"{facts.get('outcome')} after {seconds}, {error}" if error else f"answered in {seconds}"


def _what_follows(facts: Facts) -> str:
    return "comes back" if facts.get("reason") == "deferred" else "tries again"


def _message(facts: Facts) -> str:
    error = facts.get("error")
    return str(error.get("message", "")) if isinstance(error, Mapping) else ""


def _waited_for(facts: Facts) -> str:
    if "lost" in facts:
        return f"another process of the agent: {facts['lost'] or 'the one'} was lost while it had the task"
    names = {"approval": "a person's decision", "child": "another run", "items": "its items", "event": "an event"}
    names["agent"] = "an agent outside"
    waited = facts.get("waits_for")
    return names.get(str(waited), f"a time ({facts.get('until')})" if facts.get("until") else str(waited))

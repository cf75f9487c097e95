"""The one sentence above a run that needs somebody: what happened, what the other side said, what to do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.agents import selectors as agents
from apps.common.schema_forms import Field, fields_of
from apps.workflows import selectors
from apps.workflows.engine.states import CLAIMABLE, RUN_ENDED, RunStatus
from apps.workflows.models import Approval, Effect, NodeRun, Run
from apps.workflows.serializers.degraded import DegradedNode, degraded_nodes, failure_behind, in_a_sentence
from apps.workflows.serializers.run_page.held_parts import held_part
from apps.workflows.serializers.run_page.rows import is_deferred, most_attempts, titled, told_of
from apps.workflows.services.approvals import is_for_answer
from apps.workflows.services.budget_pauses import account_waited_for, reason_of
from apps.workflows.services.compiled import compiled_version

MOST_NAMES = 5  # of answers that are degraded too
MOST_LETTERS = 400  # of what the other side said

# What helps with the failures that have a known way out; for others it is to mend the cause and retry.
_ADVICE = {
    "timeout": "Give it more time in the workflow, or retry when the other side is quicker.",
    "worker_lost": "Every worker that ran it died: look at the workers' log, then retry.",
    "loop_limit": "The loop has no way out: give its edge a 'max' or mend its condition, then run again.",
    "invalid_input": "Mend the input, and run it again from this node.",
    "budget_reached": "Raise it or allow more under Settings, Budgets, then retry.",
    "key_refused": "Then retry: what has finished is not repeated.",
    "effect_unknown": "Say whether it happened; then the run goes on.",
    "failed": "The workflow ends here on purpose; run it again with another input.",
}

_ANEW = frozenset({"failed", "loop_limit", "invalid_input"})  # what comes out the same when it is only retried


@dataclass(frozen=True, slots=True)
class Sentence:
    """The banner: its tone, who it is about, what is said, and what may be done about it."""

    tone: str
    icon: str
    subject: str
    text: str
    node: str = ""  # that a button opens
    visit: int = 0
    tab: str = ""
    act: str = ""  # retry, resume or rerun: the button
    due: int | None = None  # a moment that is counted down to, in milliseconds of the epoch
    code: str = ""
    child: str = ""
    approval: Approval | None = None
    fields: Sequence[Field] = field(default_factory=tuple)
    payload: Sequence[tuple[str, Any, bool]] = field(default_factory=tuple)  # name, value, whether it is read as text
    then: str = ""  # what becomes of it when its time is over
    is_answer: bool = False  # what is asked for is not leave to go on, but what an agent could not say
    failure: str = ""  # of the agent whose answer that is, where the question does not tell it
    more: int = 0  # questions that wait beside this one
    event: str = ""  # that a node waits for
    lacks_money: bool = False  # a budget has paused the run


def sentence_of(run: Run, visits: Sequence[NodeRun]) -> Sentence | None:
    """Give the sentence of a run, if it needs one: what waits for a person comes first."""
    return (
        _undecided(run)
        or _failed(run)
        or _stopped(run)
        or _asked(run)
        or (None if run.status in RUN_ENDED else _held_up(run, visits))
        or _degraded(run)
    )


def advice_on(code: str) -> str:
    """Say what to do about an error."""
    return _ADVICE.get(code, "Mend the cause, then retry: what has finished is not repeated.")


def _undecided(run: Run) -> Sentence | None:
    found = selectors.effects_known_as(selectors.effects(run), [Effect.State.UNKNOWN])
    asked = [one for one in found[:20] if run.status == RunStatus.FAILED or one.state == Effect.State.UNKNOWN]
    if not asked or run.status == RunStatus.CANCELLED:
        return None
    effect, what = asked[0], asked[0].tool or "what it did"
    text = f"Nobody knows whether {what} took effect before its worker was gone. Say so, and the run goes on."
    node = effect.node_run
    return Sentence("waiting", "hand", _title(run, node), text, node.node, node.visit, "effects", more=len(asked) - 1)


def _failed(run: Run) -> Sentence | None:
    if run.status != RunStatus.FAILED:
        return None
    error: Mapping[str, Any] = run.error if isinstance(run.error, dict) else {}
    node, visit = str(error.get("node", "")), int(error.get("visit") or 1)
    spec = compiled_version(run.version_id).definition.nodes.get(node)
    code = str(error.get("code", ""))
    said = _shortened(str(error.get("message", "The run failed.")))
    subject = titled(node, spec, visit) if node else "The run failed"
    act = "rerun" if code in _ANEW else "retry"
    return Sentence("failed", "octagon-alert", subject, f"{said} {advice_on(code)}", node, visit, act=act, code=code)


def _stopped(run: Run) -> Sentence | None:
    if run.status == RunStatus.PAUSED:
        if reason := reason_of(run):
            text = f"{_shortened(reason)} It goes on when somebody allows more, or raises the budget and resumes it."
            can_allow = account_waited_for(run) is not None
            return Sentence("waiting", "pause", "Paused by a budget.", text, act="resume", lacks_money=can_allow)
        text = "What runs is finished; nothing new starts until somebody resumes."
        return Sentence("waiting", "pause", "Paused.", text, act="resume")
    if run.status == RunStatus.CANCELLED:
        told = selectors.events(run).filter(type="run.cancelled").last()
        by = str(told.data.get("by", "")).partition(":")[2] if told else ""
        text = f"{f'{by} cancelled the run. ' if by else ''}What had finished is kept."
        return Sentence("cancelled", "circle-slash", "Cancelled.", text, act="rerun")
    return None


def _asked(run: Run) -> Sentence | None:
    """What waits for a decision."""
    if run.status in RUN_ENDED:
        return None
    questions = list(selectors.approvals().filter(run=run).order_by("created_at", "id")[:20])
    if not questions:
        return None
    asked = questions[0]
    return Sentence(
        "waiting",
        "hand",
        _title(run, asked.node_run),
        asked.message,
        asked.node_run.node,
        asked.node_run.visit,
        due=_epoch(asked.deadline_at),
        approval=asked,
        then={"approve": "Approved", "reject": "Rejected"}.get(asked.on_timeout, "Fails"),
        payload=list(_payload(asked.payload)),
        fields=fields_of(asked.form) if asked.form else (),
        is_answer=is_for_answer(asked),
        failure=failure_behind(asked),
        more=len(questions) - 1,
    )


def _payload(payload: Any) -> Iterator[tuple[str, Any, bool]]:
    parts = payload.items() if isinstance(payload, dict) else [("", payload)] if payload is not None else []
    for name, value in parts:
        yield str(name).replace("_", " ").capitalize(), value, isinstance(value, str | int | float)


def _held_up(run: Run, visits: Sequence[NodeRun]) -> Sentence | None:
    return _unserved(visits) or _held_below(run, visits) or _retrying(run, visits) or _awaiting(run, visits)


def _held_below(run: Run, visits: Sequence[NodeRun]) -> Sentence | None:
    """A run that does a part of this one waits for somebody."""
    if not any(visit.waiting_for in ("child", "items") for visit in visits):
        return None
    held = held_part(run)
    if held is None:
        return None
    node, text = held.node_run, f"The run that does this part {_shortened(held.reason)}"
    return Sentence("waiting", "pause", _title(run, node), text, node.node, node.visit, child=str(held.child))


def _unserved(visits: Sequence[NodeRun]) -> Sentence | None:
    """Nobody is there who could go on."""
    queued = [visit for visit in visits if visit.status in CLAIMABLE]
    if not queued:
        return None
    if not selectors.has_living_workers():
        text = "No worker is running, so nothing goes on. Start one (bin/up does), and the run continues by itself."
        return Sentence("failed", "triangle-alert", "No workers.", text)
    missing = selectors.missing_handlers({visit.handler for visit in queued})
    if not missing:
        return None
    name = min(missing)
    text = f"No worker has '{name}', which the run needs next. Start one with that plugin installed."
    return Sentence("waiting", "triangle-alert", "Nobody can do this.", text)


def _retrying(run: Run, visits: Sequence[NodeRun]) -> Sentence | None:
    trying = [visit for visit in visits if visit.status == "retrying"]
    if not trying:
        return None
    visit = min(trying, key=lambda one: one.available_at or one.created_at)
    spec = compiled_version(run.version_id).definition.nodes.get(visit.node)
    error: Mapping[str, Any] = visit.error if isinstance(visit.error, dict) else {}
    said = _shortened(str(error.get("message", "It failed.")))
    again = "It comes back by itself"
    if not is_deferred(visit):
        again = f"Trying again by itself: attempt {visit.attempt + 1} of {most_attempts(spec)}"
    text = f"{said} {_lost(run, visit)}{again}"
    title = _title(run, visit)
    return Sentence("retrying", "refresh-cw", title, text, visit.node, visit.visit, due=_epoch(visit.available_at))


def _lost(run: Run, visit: NodeRun) -> str:
    """That a process of an agent outside was lost with the task of a visit."""
    task = agents.open_tasks(run.pk).get(visit.pk) if "task" in visit.state else None
    return "The process that worked on it was lost, and its task goes to another. " if task and task.lost_count else ""


def _awaiting(run: Run, visits: Sequence[NodeRun]) -> Sentence | None:
    waiting = [visit for visit in visits if visit.status == "waiting"]
    for visit in waiting:
        if visit.waiting_for == "event":
            event = str(visit.state.get("event", ""))
            text = f"It waits for the event '{event}'. Send it here, or with POST /v1/runs/…/signals/{event}."
            due = _epoch(visit.available_at)
            return Sentence("waiting", "send", _title(run, visit), text, visit.node, visit.visit, event=event, due=due)
    for visit in waiting:
        if visit.waiting_for == "time" and run.status == RunStatus.WAITING:
            title, due = _title(run, visit), _epoch(visit.available_at)
            return Sentence("waiting", "clock", title, "The run rests", visit.node, visit.visit, due=due)
        if visit.waiting_for == "child" and visit.state.get("child"):
            title, child = _title(run, visit), str(visit.state["child"])
            text = "Another run does this part."
            return Sentence("running", "workflow", title, text, visit.node, visit.visit, child=child)
    return _outside(run, [visit for visit in waiting if visit.waiting_for == "agent"])


def _outside(run: Run, visits: Sequence[NodeRun]) -> Sentence | None:
    """An agent outside has the task of a visit, or is to fetch it."""
    if not visits:
        return None
    visit, tasks = visits[0], agents.open_tasks(run.pk)
    task, told = tasks.get(visit.pk), told_of(run, [visit]).get(visit.pk, "")
    process = task.instance.name if task and task.instance and task.state == task.State.CLAIMED else ""
    at_work = f"With {process}{f', {told}' if told else ''}."
    text = at_work if process else "It waits for a process of the agent to take it."
    lost = "The process that worked on it before was lost. " if task and task.lost_count else ""
    return Sentence("running", "bot", _title(run, visit), f"{lost}{text}", visit.node, visit.visit)


def _degraded(run: Run) -> Sentence | None:
    """An answer that is not that of the agent which should have given it."""
    found = degraded_nodes(run)
    if not found:
        return None
    first, *others = found
    beside = f" {_likewise([_answer(run, one) for one in others])}" if others else ""
    child = (first.by or {}).get("run", "")
    text = f"{in_a_sentence(first)}{beside}"
    return Sentence("retrying", "triangle-alert", _answer(run, first), text, first.node, first.visit, child=child)


def _answer(run: Run, one: DegradedNode) -> str:
    spec = compiled_version(run.version_id).definition.nodes.get(one.node)
    return titled(one.node, spec, one.visit, -1 if one.index is None else one.index)


def _likewise(names: Sequence[str]) -> str:
    """Name what is degraded too: the first ones, and how many more there are."""
    if len(names) == 1:
        return f"So is {names[0]}."
    shown = names[:MOST_NAMES] if len(names) > MOST_NAMES else names[:-1]
    last = f"{len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else names[-1]
    return f"So are {', '.join(shown)} and {last}."


def _title(run: Run, visit: NodeRun) -> str:
    spec = compiled_version(run.version_id).definition.nodes.get(visit.node)
    return titled(visit.node, spec, visit.visit, visit.index)


def _shortened(message: str) -> str:
    whole = message if len(message) <= MOST_LETTERS else f"{message[:MOST_LETTERS]}…"
    return whole if whole.endswith((".", "!", "?", "…")) else f"{whole}."


def _epoch(moment: Any) -> int | None:
    return round(moment.timestamp() * 1000) if moment else None

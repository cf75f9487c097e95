"""The timeline: a row for every visit of a node, with what it waited in the queue and each of its attempts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.common.templatetags.ui import look_of
from apps.workflows import selectors
from apps.workflows.engine.retry import RetryPolicy
from apps.workflows.engine.spec import Node
from apps.workflows.models import Attempt, NodeRun, Run
from apps.workflows.nodes.registry import type_of
from apps.workflows.serializers.history import report_in_words
from apps.workflows.services.compiled import compiled_version

DRAWN = 200  # rows in the page itself; beyond them a script draws those that are looked at
LEAST_WIDTH = 0.4  # percent; the script makes it two pixels, however wide the page is
ROOM = 14  # letters at the end of a row
_NICE = (1, 2, 5)
_WAITS = frozenset({"approval", "wait", "map", "workflow"})  # types whose time is that of others
_TONES = {
    "completed": "completed",
    "failed": "retrying",
    "timeout": "retrying",
    "lost": "cancelled",
    "released": "cancelled",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a row, in milliseconds since the run was accepted; an open end is still going on."""

    kind: str  # queue, run, wait
    start: int
    end: int | None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """How far the items of a map are."""

    total: int
    done: int
    failed: int


@dataclass(slots=True)
class Row:
    """A visit as the timeline and the graph show it; its field names are what static/js/run_model.js reads."""

    key: str
    node: str
    visit: int
    title: str
    kind: str
    status: str
    waits_for: str
    attempt: int
    attempts: int  # that it may take
    lost: int
    due: int | None
    took: int | None
    told: str = ""  # how far whoever works on it says to be
    deferred: bool = False  # nothing failed: it comes back for somebody or some room that was not there
    degraded: bool = False  # its answer is one of a step of `degrade`
    segments: list[Segment] = field(default_factory=list)
    items: Items | None = None

    def as_json(self) -> dict[str, Any]:
        """Give what the script begins with."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bar:
    """A segment as it is drawn: percents of the width."""

    css: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """A row with its bars."""

    row: Row
    bars: Sequence[Bar]

    @property
    def tone(self) -> str:
        """Give the tone of its status."""
        return look_of(self.row.status).tone

    @property
    def note(self) -> str:
        """Give the words at its end."""
        return note_of(self.row)


def rows_of(run: Run, visits: Sequence[NodeRun], counts: Mapping[tuple[str, int], Mapping[str, int]]) -> list[Row]:
    """Give the rows of a run."""
    specs = compiled_version(run.version_id).definition.nodes
    told = told_of(run, visits)
    return [
        _row(run, visit, specs.get(visit.node), counts.get((visit.node, visit.visit)), told.get(visit.pk, ""))
        for visit in visits
    ]


def told_of(run: Run, visits: Sequence[NodeRun]) -> dict[UUID, str]:
    """Give what those who work on visits just now have told last of how far they are."""
    at_work = [visit.pk for visit in visits if shown_status(visit) == "running"]
    reports = selectors.progress_of(run, at_work) if at_work and not run.finished_at else {}
    return {node_run: report_in_words(report) for node_run, report in reports.items()}


def shown_status(visit: NodeRun) -> str:
    """Give the status whose look a visit has: with an agent outside the work goes on."""
    return "running" if visit.status == "waiting" and visit.waiting_for == "agent" else visit.status


def horizon(run: Run, rows: Iterable[Row], now: datetime) -> int:
    """Give how many milliseconds the timeline is wide: all that happened, or a round span that it fits into."""
    latest = max((segment.end or segment.start for row in rows for segment in row.segments), default=0)
    if run.finished_at:
        return max(latest, since(run, run.finished_at), 1)
    return nice(max(latest, since(run, now)))


def nice(milliseconds: int) -> int:
    """Give the next of 1, 2, 5, 10, 20 ... seconds, as static/js/run_scale.js does."""
    size = 1000
    while True:
        for step in _NICE:
            if milliseconds < step * size * 0.95:
                return step * size
        size *= 10


def drawn(rows: Sequence[Row], wide: int, now: int) -> list[DrawnRow]:
    """Give the first rows with their bars."""
    return [DrawnRow(row, [_bar(row, segment, wide, now) for segment in row.segments]) for row in rows[:DRAWN]]


def since(run: Run, moment: datetime) -> int:
    """Give the milliseconds from when the run was accepted."""
    return max(0, round((moment - run.created_at).total_seconds() * 1000))


def is_deferred(visit: NodeRun) -> bool:
    """Tell whether a visit that is to be tried again has failed at nothing."""
    return visit.status == "retrying" and bool(visit.state.get("deferrals"))


def most_attempts(spec: Node | None) -> int:
    """Give how often a node is tried in all."""
    return (spec.retry.policy() if spec and spec.retry else RetryPolicy()).attempts


def note_of(row: Row) -> str:
    """Say in a few words how a visit is doing, as static/js/run_model.js does."""
    if row.items and row.status not in ("completed", "failed"):
        failed = f", {row.items.failed} failed" if row.items.failed else ""
        return f"{row.items.done}/{row.items.total} items{failed}"
    if row.status == "retrying":
        return "comes back" if row.deferred else f"try {row.attempt + 1}/{row.attempts}"
    if row.status == "waiting":
        others = {"approval": "a person", "event": "an event", "child": "a run"}
        return f"for {others[row.waits_for]}" if row.waits_for in others else "waiting"
    if row.degraded:
        return "degraded"
    if row.took is not None:
        return short_duration(row.took)
    return clipped(row.told) if row.status == "running" and row.told else row.status


def clipped(words: str) -> str:
    """Cut words to what the end of a row has room for."""
    return words if len(words) <= ROOM else f"{words[: ROOM - 1].rstrip()}…"


def short_duration(milliseconds: int) -> str:
    """Write a duration in a few characters, as static/js/run_model.js does."""
    if milliseconds < 1000:  # noqa: PLR2004
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    if seconds < 3600:  # noqa: PLR2004
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def _row(run: Run, visit: NodeRun, spec: Node | None, counts: Mapping[str, int] | None, told: str) -> Row:
    kind = type_of(visit.handler)
    ended = visit.finished_at
    return Row(
        key=f"{visit.node}#{visit.visit}",
        node=visit.node,
        visit=visit.visit,
        title=titled(visit.node, spec, visit.visit),
        kind=kind,
        status=shown_status(visit),
        waits_for=visit.waiting_for,
        attempt=visit.attempt,
        attempts=most_attempts(spec),
        lost=visit.lost_count,
        due=since(run, visit.available_at) if visit.available_at and visit.status in ("retrying", "waiting") else None,
        took=round((ended - visit.started_at).total_seconds() * 1000) if ended and visit.started_at else None,
        told=told,
        deferred=is_deferred(visit),
        degraded=visit.status == "completed" and "degraded" in visit.state,
        segments=list(_segments(run, visit)),
        items=_items(counts) if kind == "map" and counts else None,
    )


def titled(node: str, spec: Node | None, visit: int = 1, index: int = -1) -> str:
    """Give the name that people read: `Review`, and `Review #2` the second time; an item is `Review[3]`."""
    title = spec.title if spec and spec.title else node
    again = f" #{visit}" if visit > 1 else ""
    return f"{title}{again}[{index}]" if index >= 0 else f"{title}{again}"


def _items(counts: Mapping[str, int]) -> Items:
    return Items(sum(counts.values()), counts.get("completed", 0), counts.get("failed", 0))


def _segments(run: Run, visit: NodeRun) -> Iterable[Segment]:
    attempts = list(visit.attempts.all())
    queued = since(run, visit.created_at)
    if not attempts:
        yield from _without_attempts(run, visit, queued)
        return
    before = ""
    for attempt in attempts:
        start = since(run, attempt.started_at)
        if start > queued:
            yield _between(visit, before, attempt, queued, start)
        yield _tried(run, attempt, start)
        queued = since(run, attempt.ended_at) if attempt.ended_at else start
        before = attempt.outcome
    if visit.status in ("retrying", "queued"):
        yield Segment("queue", queued, None)
    elif shown_status(visit) == "running" and visit.status == "waiting":
        yield Segment("run", queued, None, "running")
    elif visit.status == "waiting":
        yield Segment("wait", queued, None, "waiting")


def _between(visit: NodeRun, before: str, attempt: Attempt, start: int, end: int) -> Segment:
    """The time until an attempt: in the queue, or while an agent outside worked, of which the attempt tells the end."""
    if before != "waiting" or "task" not in visit.state:
        return Segment("queue", start, end)
    outcome = {"deferred": "lost", "": "completed"}.get(attempt.outcome, attempt.outcome)
    return Segment("run", start, end, outcome)


def _tried(run: Run, attempt: Attempt, start: int) -> Segment:
    end = since(run, attempt.ended_at) if attempt.ended_at else None
    return Segment("run", start, end, attempt.outcome or "running")


def _without_attempts(run: Run, visit: NodeRun, queued: int) -> Iterable[Segment]:
    """A node that only decides or waits; no worker has it."""
    if visit.started_at is None:
        yield Segment("queue", queued, None if visit.finished_at is None else since(run, visit.finished_at))
        return
    start = since(run, visit.started_at)
    if start > queued:
        yield Segment("queue", queued, start)
    end = since(run, visit.finished_at) if visit.finished_at else None
    yield Segment("wait" if end is None or type_of(visit.handler) in _WAITS else "run", start, end, visit.status)


def _bar(row: Row, segment: Segment, wide: int, now: int) -> Bar:
    end = now if segment.end is None else segment.end
    x = min(100, segment.start / wide * 100)
    return Bar(tone_of(row, segment), round(x, 2), round(max(LEAST_WIDTH, (end - segment.start) / wide * 100), 2))


def tone_of(row: Row, segment: Segment) -> str:
    """Give the class of a piece: an attempt that was not the last has the colour of trying again."""
    if segment.kind == "queue":
        return "queue"
    waited = " waited" if segment.kind == "wait" else ""
    if segment is row.segments[-1] and segment.outcome not in ("lost", "released"):
        return f"bar tone-{'running' if segment.outcome == 'running' else row.status}{waited}"
    return f"bar tone-{_TONES.get(segment.outcome, 'waiting')}{waited}"

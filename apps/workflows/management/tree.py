"""A run as a tree of its nodes, for a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count

from apps.common.clock import now
from apps.common.ids import short_id
from apps.common.money import cost_text
from apps.observability.selectors import usage
from apps.workflows import selectors
from apps.workflows.models import Approval, NodeRun, Run, RunEvent
from apps.workflows.serializers.degraded import degraded_of, in_a_sentence

MARKS = {
    "completed": "ok",
    "failed": "x",
    "running": "o",
    "queued": ".",
    "retrying": "~",
    "waiting": "||",
    "cancelled": "/",
    "skipped": "-",
    "": ".",
}
ACTIVE = frozenset({"running", "retrying", "waiting", "failed"})
DEEPEST = 2  # runs inside runs that are shown
MOST_ITEMS = 8  # of a map, those that something happens with
BAR = 20
SHORT_SECONDS = 100


@dataclass
class Branch:
    """One line of the tree: a node, an item of a map, or a node of a child run."""

    name: str
    status: str
    took: float | None = None
    note: str = ""
    branches: list["Branch"] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """A line and the status that colours it."""

    text: str
    status: str


def nodes_of(run: Run, depth: int = 0) -> list[Branch]:
    """A branch for each node of the run's definition, in written order, as its latest visit stands."""
    latest = _latest(run)
    progress = _progress(run)
    children = _children(run, latest.values()) if depth < DEEPEST else {}
    items = _items(run, latest.values())
    found = []
    for name in run.version.document["nodes"]:
        visit = latest.get(name)
        if visit is None:
            found.append(Branch(name, "skipped" if run.finished_at else ""))
            continue
        branch = Branch(_titled(visit), visit.status, took(visit), _note(visit, progress))
        branch.branches = items.get(visit.pk, [])
        if visit.pk in children:
            branch.branches = nodes_of(children[visit.pk], depth + 1)
        found.append(branch)
    return found


def drawn(branches: Sequence[Branch], indent: str = "") -> Iterator[Line]:
    """The lines of a tree."""
    width = max((len(branch.name) for branch in branches), default=0)
    for number, branch in enumerate(branches, 1):
        is_last = number == len(branches)
        took_text = seconds_text(branch.took) if branch.took is not None else ""
        line = f"{indent}{'└─' if is_last else '├─'} {MARKS.get(branch.status, '?'):<2} {branch.name:<{width}}"
        yield Line(f"{line}  {took_text:>7}  {branch.note}".rstrip(), branch.status)
        yield from drawn(branch.branches, f"{indent}{'   ' if is_last else '│  '}")


def fitted(lines: Sequence[Line], height: int) -> list[Line]:
    """So many lines at the most: where there are more, those go first that nothing happens with."""
    if len(lines) <= height:
        return list(lines)
    active = [number for number, line in enumerate(lines) if line.status in ACTIVE][: height - 1]
    others = [number for number in range(len(lines)) if number not in set(active)]
    kept = sorted([*active, *others[: height - 1 - len(active)]])
    left = len(lines) - len(kept)
    return [*(lines[number] for number in kept), Line(f"   … {left} more", "")]


def summary_line(run: Run) -> Line:
    """How far the run is: `[#####-----] 3/7  2.3 s  $0.0008`."""
    done, total = selectors.progress(run)
    filled = round(BAR * done / total) if total else BAR
    spent = usage.of_run(run.pk)
    cost = f"  {cost_text(spent.cost_micro_usd, spent.unpriced)}" if spent.cost_micro_usd or spent.unpriced else ""
    bar = f"[{'#' * filled}{'-' * (BAR - filled)}]"
    return Line(f"{bar} {done}/{total}  {run.status}  {seconds_text(took(run) or 0.0)}{cost}", run.status)


def took(thing: Run | NodeRun) -> float | None:
    """How many seconds something has taken until its end, or until now."""
    if thing.started_at is None:
        return None
    return max(0.0, ((thing.finished_at or now()) - thing.started_at).total_seconds())


def seconds_text(amount: float) -> str:
    """A span of time, short: 0.4 s, 12 s, 3 min 05 s."""
    if amount < SHORT_SECONDS:
        return f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _latest(run: Run) -> dict[str, NodeRun]:
    visits = NodeRun.objects.filter(run=run, index=-1).order_by("node", "-visit").distinct("node")
    return {visit.node: visit for visit in visits.defer("input", "output")}


def _progress(run: Run) -> dict[UUID | None, dict[str, Any]]:
    if run.finished_at:
        return {}
    reports = RunEvent.objects.filter(run=run, type="node.progress").order_by("node_run_id", "-seq")
    return dict(reports.distinct("node_run_id").values_list("node_run_id", "data"))


def _children(run: Run, visits: Iterable[NodeRun]) -> dict[UUID | None, Run]:
    if not any("child" in visit.state for visit in visits):
        return {}
    return {child.parent_node_id: child for child in selectors.runs().filter(parent=run)}


def _items(run: Run, visits: Iterable[NodeRun]) -> dict[UUID | None, list[Branch]]:
    """For each map the items that something happens with, and how many there are of the others."""
    maps = [visit.pk for visit in visits if visit.handler == "map"]
    if not maps:
        return {}
    rows = NodeRun.objects.filter(run=run, parent__in=maps)
    found: dict[UUID | None, list[Branch]] = {}
    for row in rows.filter(status__in=ACTIVE).order_by("index").defer("input", "output")[:MOST_ITEMS]:
        found.setdefault(row.parent_id, []).append(Branch(f"[{row.index}]", row.status, took(row), _note(row, {})))
    counts: dict[UUID | None, dict[str, int]] = {}
    for parent, status, count in rows.values_list("parent", "status").annotate(Count("id")):
        counts.setdefault(parent, {})[status] = count
    for parent, by_status in counts.items():
        total = sum(by_status.values())
        found.setdefault(parent, []).append(Branch(f"{by_status.get('completed', 0)}/{total} items", ""))
    return found


def _titled(visit: NodeRun) -> str:
    return visit.node if visit.visit == 1 else f"{visit.node} #{visit.visit}"


def _note(visit: NodeRun, progress: dict[UUID | None, dict[str, Any]]) -> str:
    notes = {"running": _running_note, "waiting": _waiting_note, "retrying": _retrying_note, "failed": _failed_note}
    note = notes.get(visit.status)
    if visit.status == "completed" and (degraded := degraded_of(visit)) is not None:
        return in_a_sentence(degraded)
    if note is None:
        if visit.status == "queued" and selectors.missing_handlers([visit.handler]):
            return f"waits for a worker that has {visit.handler}"
        return f"attempt {visit.attempt}" if visit.attempt > 1 else ""
    return note(visit, progress)


def _running_note(visit: NodeRun, progress: dict[UUID | None, dict[str, Any]]) -> str:
    report = progress.get(visit.pk, {})
    fraction, message = report.get("fraction"), str(report.get("message") or "")
    attempt = f"attempt {visit.attempt} " if visit.attempt > 1 else ""
    return f"{attempt}{f'{fraction:.0%} ' if fraction is not None else ''}{message}".strip()


def _waiting_note(visit: NodeRun, progress: dict[UUID | None, dict[str, Any]]) -> str:
    if visit.waiting_for == "approval":
        question = Approval.objects.filter(node_run=visit).first()
        return f"{question.message} (approval {short_id(question.pk)})" if question else ""
    if visit.waiting_for == "event":
        return f"waits for the event '{visit.state.get('event', '')}'"
    if visit.waiting_for == "agent" and (told := _running_note(visit, progress)):
        return told
    until = f" until {visit.available_at:%H:%M:%S}" if visit.available_at else ""
    names = {"child": "another run", "items": "its items", "time": "its time", "agent": "an agent outside"}
    return f"waits for {names.get(visit.waiting_for, visit.waiting_for)}{until}"


def _retrying_note(visit: NodeRun, _progress: Any) -> str:
    wait = max(0.0, (visit.available_at - now()).total_seconds()) if visit.available_at else 0.0
    again = "comes back" if visit.state.get("deferrals") else f"attempt {visit.attempt + 1}"
    return f"{again} in {wait:.0f} s: {message_of(visit.error)}"


def _failed_note(visit: NodeRun, _progress: Any) -> str:
    return message_of(visit.error)


def message_of(error: Any) -> str:
    """The sentence of an error, on one line."""
    message = error.get("message", "") if isinstance(error, dict) else str(error or "")
    return " ".join(str(message).split())

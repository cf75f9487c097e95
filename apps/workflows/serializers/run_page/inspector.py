"""What the inspector shows of a run, a visit of a node, or an item of a map: tabs, and what the open one holds."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet

from apps.agents import selectors as agents
from apps.agents.models import AgentDecision
from apps.common.json import JSON, dumps
from apps.integrations import language_models
from apps.observability.models import LogLine
from apps.observability.selectors.usage import of_node_run
from apps.workflows import selectors
from apps.workflows.engine.states import RUN_ENDED, RunStatus
from apps.workflows.models import Attempt, Effect, JournalEntry, NodeRun, Run, Worker
from apps.workflows.serializers.agent_versions import versions_in
from apps.workflows.serializers.degraded import PassedStep, degraded_of, in_a_sentence, passed_steps
from apps.workflows.serializers.run_page.conversation import conversation_of
from apps.workflows.serializers.run_page.picture import kind_of
from apps.workflows.serializers.run_page.rows import shown_status, titled
from apps.workflows.serializers.run_page.sentence import advice_on
from apps.workflows.serializers.runs import context_of
from apps.workflows.services.compiled import compiled_version
from apps.workflows.store.values import read_value

MOST_CHARACTERS = 100_000  # of a value on the page; the rest is in the download
MOST_LINES = 200  # of a log
ITEMS_PER_PAGE = 100
GOES_ON = frozenset({Attempt.Outcome.WAITING, Attempt.Outcome.DEFERRED})  # in the next attempt, as the same try


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected, as it stands in the address: nothing is the run itself."""

    node: str = ""
    visit: int = 0  # 0: the latest
    index: int = -1
    tab: str = ""
    page: int = 0
    search: str = ""  # in the log; another tab forgets it
    level: str = ""

    def query(self, **changes: Any) -> str:
        """Give the query of the address with some of it changed."""
        parts = {"node": self.node, "visit": self.visit, "index": self.index, "tab": self.tab, "page": self.page}
        nothing = {"visit": 0, "index": -1, "page": 0}
        wanted = {name: value for name, value in (parts | changes).items() if value != nothing.get(name, "")}
        return f"?{urlencode(wanted)}"


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab with its address, as components/tabs.html takes it."""

    name: str
    label: str
    url: str
    current: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value, or as much of it as a page holds."""

    text: str
    path: str  # how an expression names it
    is_whole: bool
    size: int
    is_missing: bool = False
    download: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """A try as people read it: one attempt, or several that waited in between and went on where they were."""

    number: int
    attempts: Sequence[Attempt]
    worker: str  # of the last one
    error: str

    @property
    def attempt(self) -> Attempt:
        """Give the last of its attempts, whose outcome is its own."""
        return self.attempts[-1]

    @property
    def began(self) -> datetime:
        """Give when its first attempt began."""
        return self.attempts[0].started_at

    @property
    def pauses(self) -> Mapping[str, int]:
        """Give how often it waited, and how often it came back for somebody who was not there, where it went on."""
        return Counter(one.outcome for one in self.attempts[:-1])

    @property
    def status(self) -> str:
        """Give the status whose look the outcome has."""
        outcomes = {"timeout": "timed_out", "lost": "cancelled", "released": "cancelled", "": "running"}
        return outcomes.get(self.attempt.outcome, self.attempt.outcome)

    @property
    def took(self) -> float | None:
        """Give its seconds."""
        ended = self.attempt.ended_at
        return (ended - self.began).total_seconds() if ended else None


@dataclass(frozen=True, slots=True)
class Inspected:
    """The inspector with its open tab; `part` is the template of what is in it."""

    selection: Selection
    title: str
    kind: str
    status: str
    note: str
    tabs: Sequence[Tab]
    part: str
    content: Any
    visits: Sequence[tuple[int, str]] = field(default_factory=tuple)  # number and address, where there are several
    child: str = ""
    can_rerun: bool = False
    up: str = ""  # from an item to its map
    version: str = ""  # of the agent that worked, where it is made of a prompt


def inspected(run: Run, selection: Selection) -> Inspected:
    """Give what is shown of the selection; a node that never ran shows its configuration."""
    if not selection.node:
        return _of_run(run, selection)
    found = _node_run(run, selection)
    return _of_node(run, selection, found) if found else _of_idle(run, selection)


def value_of(run: Run, selection: Selection, name: str) -> JSON:
    """Give a whole value, for its download."""
    if not selection.node:
        return context_of(run) if name == "context" else read_value(run.organization_id, _text(run, name))
    found = _node_run(run, selection)
    return read_value(run.organization_id, _text(found, name)) if found else None


def _text(source: Run | NodeRun, name: str) -> str | None:
    return source.output if name == "output" else source.input


def _node_run(run: Run, selection: Selection) -> NodeRun | None:
    found = selectors.node_runs(run).filter(node=selection.node, index=selection.index)
    if selection.visit:
        found = found.filter(visit=selection.visit)
    return found.order_by("-visit").first()


# ---- the run itself ---------------------------------------------------------------------------------


def _of_run(run: Run, selection: Selection) -> Inspected:
    ended = run.status in RUN_ENDED
    effects = _effects(run)
    tabs: dict[str, tuple[str, int | None]] = {"output": ("Output", None)} if ended else {}
    tabs |= {"input": ("Input", None)} | ({} if ended else {"output": ("Output", None)})
    tabs["context"] = ("Context", None)
    if effects:
        tabs["effects"] = ("Effects", len(effects))
    tabs |= {"logs": ("Logs", _lines(run).count() or None), "config": ("Definition", None)}
    parts: Mapping[str, Callable[[], Any]] = {
        "input": lambda: _value(run, selection, "input", read_value(run.organization_id, run.input), "inputs"),
        "output": lambda: _output(run, selection, run.output, "outputs"),
        "context": lambda: _value(run, selection, "context", context_of(run), "context"),
        "effects": lambda: effects,
        "logs": lambda: _log(run, selection),
        "config": lambda: _value(run, selection, "config", run.version.document, ""),
    }
    tab = selection.tab if selection.tab in tabs else next(iter(tabs))
    return Inspected(selection, run.name, "run", run.status, "", _tabs(selection, tabs, tab), _part(tab), parts[tab]())


# ---- a node -----------------------------------------------------------------------------------------


def _of_node(run: Run, selection: Selection, found: NodeRun) -> Inspected:
    spec = compiled_version(run.version_id).definition.nodes.get(found.node)
    kept = Selection(found.node, found.visit if selection.visit else 0, found.index, selection.tab, selection.page)
    path = f"nodes.{found.node}.output" if found.node.isidentifier() else f"nodes['{found.node}'].output"
    path += f"[{found.index}]" if found.index >= 0 else ""
    tries, effects, steps = _folded(found.attempts.all()), _effects(run, found), _steps(found)
    chosen, worked = _choices(found), versions_in(run.organization_id, found.journal.all())
    items = NodeRun.objects.filter(parent=found).order_by("index") if found.index < 0 else NodeRun.objects.none()
    result = "Error" if found.error and found.output is None and found.status != "completed" else "Output"
    tabs: dict[str, tuple[str, int | None]] = {"input": ("Input", None), "output": (result, None)}
    if count := items.count():
        tabs = {"items": ("Items", count)} | tabs
    if any(step.name.startswith(language_models.STEP) for step in steps) or of_node_run(run.pk, found.pk).exists():
        tabs["model"] = ("Model", None)
    if chosen:
        tabs["agent"] = ("Why this agent", None)
    if effects:
        tabs["effects"] = ("Effects", len(effects))
    if steps:
        tabs["steps"] = ("Steps", len(steps))
    tabs |= {"logs": ("Logs", _lines(run, found).count() or None), "attempts": ("Attempts", len(tries) or None)}
    tabs["config"] = ("Config", None)
    parts: Mapping[str, Callable[[], Any]] = {
        "input": lambda: _value(run, kept, "input", read_value(run.organization_id, found.input), ""),
        "output": lambda: _node_output(run, kept, found, path),
        "items": lambda: _items(items, count, kept),
        "effects": lambda: effects,
        "model": lambda: conversation_of(run, found),
        "agent": lambda: chosen,
        "steps": lambda: [(step, worked.get(step.pk)) for step in steps],
        "logs": lambda: _log(run, selection, found),
        "attempts": lambda: _tries(tries),
        "config": lambda: _config(run, kept),
    }
    tab = selection.tab if selection.tab in tabs else _first_tab(found, tabs)
    others = (
        NodeRun.objects.filter(run=run, node=found.node, index=-1).order_by("visit").values_list("visit", flat=True)
    )
    return Inspected(
        selection=Selection(found.node, found.visit, found.index, tab),
        title=titled(found.node, spec, found.visit, found.index),
        kind=kind_of(spec) if spec else "",
        status=shown_status(found),
        note=f"{found.attempt}" if found.status == "retrying" else "",
        tabs=_tabs(kept, tabs, tab),
        part=_part(tab),
        content=parts[tab](),
        visits=[(visit, kept.query(visit=visit)) for visit in others[:20]] if len(others) > 1 else (),
        child=str(found.state.get("child") or ""),
        can_rerun=found.index < 0,
        up=Selection(found.node, found.visit, tab="items").query() if found.index >= 0 else "",
        version=str(next(iter(worked.values()), "")),
    )


def _first_tab(found: NodeRun, tabs: Mapping[str, Any]) -> str:
    if "items" in tabs:
        return "items"
    return "output" if found.output is not None or found.error else "input"


def _of_idle(run: Run, selection: Selection) -> Inspected:
    """A node that has not run (yet)."""
    spec = compiled_version(run.version_id).definition.nodes.get(selection.node)
    if spec is None:
        return _of_run(run, Selection(tab=selection.tab))
    status = "skipped" if run.status in RUN_ENDED else "idle"
    tabs: dict[str, tuple[str, int | None]] = {"config": ("Config", None)}
    title, kind = titled(selection.node, spec), kind_of(spec)
    shown = _tabs(selection, tabs, "config")
    return Inspected(selection, title, kind, status, "", shown, _part("config"), _config(run, selection))


# ---- what is in the tabs ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Output:
    """What came of a node or a run: a value, an error, or neither yet."""

    value: Value | None
    error: Mapping[str, Any] | None
    is_over: bool
    advice: str = ""  # what to do about the error, where it ended the run
    degraded: str = ""  # which step of `degrade` gave it, or is under way
    passed: Sequence[PassedStep] = ()  # steps that gave no answer either, behind the error of the node's own agent


@dataclass(frozen=True, slots=True)
class Log:
    """The last lines of a log that match, and what they have to match."""

    lines: Sequence[LogLine]
    is_cut: bool
    search: str
    level: str
    levels: Sequence[tuple[str, str]]
    is_empty: bool  # nothing was written at all


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """Some of the items of a map."""

    items: Sequence[tuple[NodeRun, str, float | None]]
    first: int
    last: int
    total: int
    before: str
    after: str


def _node_output(run: Run, selection: Selection, found: NodeRun, path: str) -> Output:
    shown = _value(run, selection, "output", read_value(run.organization_id, found.output), path)
    error, passed = _failure(found)
    degraded = degraded_of(found)
    return Output(
        shown if found.output is not None else None,
        error,
        found.finished_at is not None,
        _advice(run, error),
        in_a_sentence(degraded, with_reason=error is None) if degraded and found.status != "failed" else "",
        passed,
    )


def _failure(found: NodeRun) -> tuple[Mapping[str, Any] | None, Sequence[PassedStep]]:
    """The error of a node; where it came to its `degrade` that of its own agent, and what its steps came to."""
    if not isinstance(found.error, dict) or found.status == "completed":
        return None, ()
    passed = passed_steps(found)
    if not passed:
        return found.error, ()
    return {"code": passed[0].code, "message": passed[0].message}, passed[1:]


def _output(run: Run, selection: Selection, text: str | None, path: str) -> Output:
    shown = _value(run, selection, "output", read_value(run.organization_id, text), path) if text is not None else None
    error = run.error if isinstance(run.error, dict) else None
    return Output(shown, error, run.status in RUN_ENDED, _advice(run, error))


def _advice(run: Run, error: Mapping[str, Any] | None) -> str:
    """What to do; nothing where the run goes on in spite of the error."""
    return advice_on(str(error.get("code", ""))) if error and run.status == RunStatus.FAILED else ""


def _value(run: Run, selection: Selection, name: str, value: JSON, path: str) -> Value:
    text = dumps(value, indent=True).decode()
    query = selection.query(tab="", page=0)
    return Value(
        text=text[:MOST_CHARACTERS],
        path=path,
        is_whole=len(text) <= MOST_CHARACTERS,
        size=len(text),
        is_missing=value is None,
        download=f"/runs/{run.pk}/values/{name}{query}",
    )


def _config(run: Run, selection: Selection) -> Value:
    return _value(run, selection, "config", run.version.document["nodes"].get(selection.node), "")


def _items(items: QuerySet[NodeRun], count: int, selection: Selection) -> ItemsPage:
    first = max(0, min(selection.page * ITEMS_PER_PAGE, (count - 1) // ITEMS_PER_PAGE * ITEMS_PER_PAGE))
    page = items.defer("input", "output", "state")[first : first + ITEMS_PER_PAGE]
    rows = [(item, selection.query(index=item.index, tab="", page=0), _seconds(item)) for item in page]
    number = first // ITEMS_PER_PAGE
    return ItemsPage(
        items=rows,
        first=first + 1,
        last=first + len(rows),
        total=count,
        before=selection.query(page=number - 1, tab="items") if number else "",
        after=selection.query(page=number + 1, tab="items") if first + len(rows) < count else "",
    )


def _seconds(node: NodeRun) -> float | None:
    return (node.finished_at - node.started_at).total_seconds() if node.finished_at and node.started_at else None


def _effects(run: Run, found: NodeRun | None = None) -> list[Effect]:
    effects = selectors.effects(run).order_by("created_at", "id")
    return list((effects.filter(node_run=found) if found else effects)[:MOST_LINES])


def _steps(found: NodeRun) -> list[JournalEntry]:
    return list(JournalEntry.objects.filter(node_run=found).order_by("position").defer("result")[:MOST_LINES])


def _choices(found: NodeRun) -> list[AgentDecision]:
    """How the agent of each attempt was chosen, where a capability was asked for."""
    if not found.handler.startswith("agent:"):
        return []
    return agents.decisions(f"{found.run_id}:{found.node}:{found.visit}:{found.index}")


def _lines(run: Run, found: NodeRun | None = None, **wanted: str) -> QuerySet[LogLine]:
    lines = selectors.log_lines(run, **wanted)
    return lines.filter(node_run_id=found.pk) if found else lines


def _log(run: Run, selection: Selection, found: NodeRun | None = None) -> Log:
    lines = _lines(run, found, search=selection.search, level=selection.level)
    shown = list(lines.order_by("-created_at", "-id")[: MOST_LINES + 1])
    return Log(
        lines=shown[:MOST_LINES][::-1],
        is_cut=len(shown) > MOST_LINES,
        search=selection.search,
        level=selection.level,
        levels=LogLine.Level.choices,
        is_empty=not shown and not _lines(run, found).exists(),
    )


def _folded(attempts: Iterable[Attempt]) -> list[list[Attempt]]:
    """The attempts of each try: what waited, or came back later, went on in the attempt after it."""
    tries: list[list[Attempt]] = []
    for one in attempts:
        if tries and tries[-1][-1].outcome in GOES_ON:
            tries[-1].append(one)
        else:
            tries.append([one])
    return tries


def _tries(tries: Sequence[Sequence[Attempt]]) -> list[Try]:
    workers = {attempts[-1].worker for attempts in tries}
    names = dict(Worker.objects.filter(pk__in=workers).values_list("pk", "name"))
    return [
        Try(number, attempts, _worker(names, attempts[-1]), _message(attempts[-1].error))
        for number, attempts in enumerate(tries, start=1)
    ]


def _worker(names: Mapping[UUID, str], attempt: Attempt) -> str:
    return names.get(attempt.worker, str(attempt.worker)[:8])


def _message(error: Any) -> str:
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def _tabs(selection: Selection, tabs: Mapping[str, tuple[str, int | None]], current: str) -> list[Tab]:
    return [
        Tab(name, label, selection.query(tab=name, page=0), name == current, count)
        for name, (label, count) in tabs.items()
    ]


def _part(tab: str) -> str:
    names = {"input": "value", "context": "value", "config": "value"}
    return f"workflows/run/_{names.get(tab, tab)}.html"

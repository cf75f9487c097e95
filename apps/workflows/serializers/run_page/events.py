"""The history of a run as its page lists it, and as a file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from apps.common.json import dumps
from apps.workflows import selectors
from apps.workflows.models import Run, RunEvent
from apps.workflows.serializers.history import place, sentence
from apps.workflows.serializers.run_page.inspector import Selection
from apps.workflows.serializers.runs import event_view

PER_PAGE = 200
VIEWS = {"compact": "Compact", "all": "All", "json": "JSON"}
_ICONS = {
    "run.started": "circle-play",
    "run.paused": "pause",
    "run.resumed": "circle-play",
    "node.queued": "rotate-cw",
    "node.started": "status-running",
    "node.waiting": "status-waiting",
    "node.retrying": "status-retrying",
    "node.degraded": "triangle-alert",
    "node.progress": "info",
    "llm.called": "bot",
    "tool.called": "wrench",
    "edge.taken": "arrow-right",
    "context.changed": "pencil",
}
_TONES = {"waiting": "waiting", "retrying": "retrying", "degraded": "retrying"}
_ENDS = ("completed", "failed", "cancelled", "skipped")


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as a line."""

    seq: int
    type: str
    icon: str
    tone: str
    at: float  # seconds since the run was accepted
    place: str
    url: str  # that selects the node
    text: str
    lost: bool


@dataclass(frozen=True, slots=True)
class History:
    """A page of the history, and how to see it in other ways."""

    happenings: Sequence[Happening]
    json: str
    view: str
    kind: str
    types: Sequence[tuple[str, str]]
    views: Sequence[tuple[str, str, bool]]
    newest_first: bool
    turned: str  # the address in the other order
    after: str  # the address of the next page, or empty


def history_of(run: Run, *, view: str, kind: str, after: int, newest_first: bool) -> History:
    """Give a page of events: those that tell people something, or all, or as JSON."""
    view = view if view in VIEWS else "compact"
    found = selectors.events(run)
    if kind:
        found = found.filter(type=kind)
    if newest_first:
        found = found.order_by("-seq")
    if after:
        found = found.filter(seq__lt=after) if newest_first else found.filter(seq__gt=after)
    page = list(found[: PER_PAGE + 1])
    shown = page[:PER_PAGE]
    base = {"view": view, "type": kind, "order": "desc" if newest_first else ""}
    types = selectors.events(run).order_by("type").values_list("type", flat=True).distinct()
    more = _query(base | {"after": shown[-1].seq}) if len(page) > PER_PAGE else ""
    return History(
        happenings=[] if view == "json" else [one for event in shown if (one := _happening(run, event, view))],
        json=dumps([event_view(event) for event in shown], indent=True).decode() if view == "json" else "",
        view=view,
        kind=kind,
        types=[("", "Every type"), *((one, one) for one in types)],
        views=[(label, _query(base | {"view": name}), name == view) for name, label in VIEWS.items()],
        newest_first=newest_first,
        turned=_query(base | {"order": "" if newest_first else "desc"}),
        after=more,
    )


def lines_of(run: Run) -> Iterator[bytes]:
    """Give every event as a line of JSON."""
    for event in selectors.events(run).iterator(chunk_size=1000):
        yield dumps(event_view(event)) + b"\n"


def _happening(run: Run, event: RunEvent, view: str) -> Happening | None:
    said = sentence(event)
    if said is None and view == "compact":
        return None
    kind, _, what = event.type.partition(".")
    lost = event.type == "node.queued" and event.data.get("reason") == "worker_lost"
    node = event.node or str(event.data.get("node", ""))
    index = -1 if event.index is None else event.index
    return Happening(
        seq=event.seq,
        type=event.type,
        icon=f"status-{what}" if what in _ENDS else _ICONS.get(event.type, "circle"),
        tone=what if what in _ENDS else _TONES.get(what, "queued"),
        at=(event.created_at - run.created_at).total_seconds(),
        place=place(event) if kind != "run" else "",
        url=Selection(node, event.visit or 0, index).query() if node else "",
        text=said or _plainly(event),
        lost=lost,
    )


def _plainly(event: RunEvent) -> str:
    """What the engine notes for itself."""
    facts = {name: value for name, value in event.data.items() if name not in ("output", "value")}
    if event.type == "edge.taken":
        route = f" ({facts['route']})" if facts.get("route") else ""
        return f"goes on to {facts.get('to')}{route}"
    if event.type == "context.changed":
        return f"writes the context key '{facts.get('key')}'"
    return "is queued" if event.type == "node.queued" else dumps(facts).decode()[:200]


def _query(parts: Mapping[str, object]) -> str:
    return f"?{urlencode({name: value for name, value in parts.items() if value})}"

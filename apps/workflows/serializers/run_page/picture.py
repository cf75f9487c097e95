"""The graph of a run: where every node stands, and how it is doing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from apps.common.templatetags.ui import Look, look_of
from apps.workflows.engine.compiler import Compiled
from apps.workflows.engine.graph import GraphEdge
from apps.workflows.engine.spec import AgentNode, MapNode, Node, ToolNode, WaitNode, WorkflowNode
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.models import Run
from apps.workflows.serializers.run_page.layout import Layout, Wire, lay_out
from apps.workflows.serializers.run_page.rows import Row, most_attempts, note_of, titled
from apps.workflows.services.compiled import compiled_version

MOST_NODES = 1_500  # that are drawn; beyond them the timeline has to do
LETTERS = 17  # of a name that fit into a node


@dataclass(frozen=True, slots=True)
class Box:
    """A node as it is drawn."""

    name: str
    title: str
    shown: str  # the title, as far as it fits
    kind: str
    attempts: int
    x: float
    y: float
    status: str
    note: str
    times: int  # how often it was visited

    @property
    def at(self) -> str:
        """Give its place, as `translate` takes it."""
        return f"{self.x:g} {self.y:g}"

    @property
    def look(self) -> Look:
        """Give the look of its status; a node that is not reached yet is drawn faintly."""
        return Look("Not started", "queued", "queued") if self.status == "idle" else look_of(self.status)

    @property
    def css(self) -> str:
        """Give its classes."""
        return f"tone-{self.look.tone}{' idle' if self.status == 'idle' else ''}"


@dataclass(frozen=True, slots=True)
class Line:
    """An edge as it is drawn."""

    wire: Wire
    taken: int
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole graph."""

    width: int
    height: int
    boxes: Sequence[Box]
    lines: Sequence[Line]


def picture_of(run: Run, rows: Sequence[Row], taken: Mapping[int, int]) -> Picture | None:
    """Draw the graph of a run as it stands; None where it has too many nodes."""
    compiled = compiled_version(run.version_id)
    if len(compiled.nodes) > MOST_NODES:
        return None
    layout = _layout(run.version_id)
    latest = {row.node: row for row in rows}
    ended = run.status in RUN_ENDED
    boxes = [_box(compiled, layout, place, latest.get(name), ended) for place, name in enumerate(compiled.graph.nodes)]
    lines = [Line(wire, taken.get(wire.number, 0), _label(compiled.graph.edges[wire.number])) for wire in layout.wires]
    return Picture(layout.width, layout.height, boxes, lines)


@lru_cache(maxsize=100)
def _layout(version: UUID) -> Layout:
    return lay_out(compiled_version(version).graph)


def _box(compiled: Compiled, layout: Layout, place: int, row: Row | None, ended: bool) -> Box:
    node = compiled.nodes[place]
    title = titled(node.name, node.spec)
    x, y = layout.places[place]
    return Box(
        name=node.name,
        title=title,
        shown=title if len(title) <= LETTERS else f"{title[: LETTERS - 1]}…",
        kind=kind_of(node.spec),
        attempts=most_attempts(node.spec),
        x=x,
        y=y,
        status=row.status if row else ("skipped" if ended else "idle"),
        note=note_of(row) if row else kind_of(node.spec),
        times=row.visit if row else 0,
    )


def kind_of(spec: Node) -> str:
    """Say in a word or two what a node is: `researcher`, `tool outbox.send`, `approval`."""
    match spec:
        case AgentNode():
            said = f"agent {spec.agent or spec.capability}"
        case ToolNode():
            said = f"tool {spec.tool}"
        case MapNode():
            said = f"map of {kind_of(spec.body)}"
        case WorkflowNode():
            said = f"workflow {spec.workflow}"
        case WaitNode():
            said = "waits for an event" if spec.event is not None else "waits"
        case _:
            said = str(spec.type)
    return said


def _label(edge: GraphEdge) -> str:
    if edge.route:
        return edge.route
    return "on error" if edge.on == "error" else ""

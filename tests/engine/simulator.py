"""Runs workflows in memory: the whole engine but its shell, with completions in a random order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from apps.workflows.engine.compiler import Compiled, CompiledNode
from apps.workflows.engine.errors import ExpressionError, LoopLimitError
from apps.workflows.engine.marking import Completion, Marking, Start, advance, begin, dead_nodes
from apps.workflows.engine.routing import Decision, UnknownRouteError, decide_edges, route_of
from apps.workflows.engine.schemas import with_defaults
from apps.workflows.engine.spec import AgentNode, FailNode, SetNode

Agents = Mapping[str, Callable[[Any], Any]]


@dataclass
class Ended:
    """What a run came to."""

    status: str = "completed"
    error: str = ""
    output: Any = None
    visits: dict[str, int] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)  # node names, in order


def simulate(compiled: Compiled, *, inputs: Any = None, agents: Agents | None = None, seed: int = 0) -> Ended:
    """Runs a workflow to its end; of several active nodes, `seed` decides which completes next."""
    return _Simulation(compiled, with_defaults(inputs or {}, compiled.definition.inputs), agents or {}, seed).run()


@dataclass(frozen=True)
class _Active:
    start: Start
    output: Any = None
    error: dict[str, str] | None = None


class _Simulation:
    def __init__(self, compiled: Compiled, inputs: Any, agents: Agents, seed: int) -> None:
        self.compiled = compiled
        self.inputs = inputs
        self.agents = agents
        self.random = Random(seed)
        self.marking = Marking()
        self.active: list[_Active] = []
        self.nodes: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, list[int], Any]] = []
        self.ended = Ended(visits=dict.fromkeys(compiled.graph.nodes, 0))

    def run(self) -> Ended:
        self.go_on(*begin(self.compiled.graph))
        while self.active and self.ended.status == "completed":
            self.complete(self.active.pop(self.random.randrange(len(self.active))))
        assert self.marking.is_over or self.ended.status == "failed"
        self.ended.context = self.context()
        if self.ended.status == "completed":
            self.ended.output = self.output()
        return self.ended

    def go_on(self, marking: Marking, starts: list[Start]) -> None:
        self.marking = Marking.from_json(marking.as_json())
        self.active += [self.started(start) for start in starts]

    def started(self, start: Start) -> _Active:
        """The visit with its result, which is fixed by what is known when it starts."""
        self.ended.visits[start.node] += 1
        self.ended.started.append(start.node)
        try:
            return _Active(start, output=self.result(self.compiled.node(start.node), self.scope(visit=start.visit)))
        except (ExpressionError, _Failure) as error:
            return _Active(start, error={"message": str(error), "code": getattr(error, "code", "failed")})

    def result(self, node: CompiledNode, scope: dict[str, Any]) -> Any:
        fields = node.render_fields(scope)
        if isinstance(node.spec, SetNode):
            return fields.get("values", {})
        if isinstance(node.spec, FailNode):
            raise _Failure(fields.get("message", node.spec.message))
        assert isinstance(node.spec, AgentNode)
        return self.agents[str(node.spec.agent)](fields.get("input"))

    def complete(self, active: _Active) -> None:
        error, decision = self.decided(active)
        name = active.start.node
        self.nodes[name] = {"status": "failed" if error else "completed", "visit": active.start.visit}
        self.nodes[name] |= {"error": error} if error else {"output": active.output}
        if error and not decision.handled:
            self.ended.status, self.ended.error = "failed", error["message"]
            return
        self.go_on(*advance(self.compiled.graph, self.marking, Completion(name, decision.taken)))

    def decided(self, active: _Active) -> tuple[dict[str, str] | None, Decision]:
        try:
            return active.error, self.decide(active, active.error)
        except (ExpressionError, UnknownRouteError, LoopLimitError) as problem:
            error = {"message": str(problem), "code": getattr(problem, "code", "failed")}
            return error, self.decide(active, error)

    def decide(self, active: _Active, error: dict[str, str] | None) -> Decision:
        start = active.start
        here = {"visit": start.visit, "output": active.output, "error": error}
        if error is None:
            self.save(start, self.scope(**here))
        route = None if error else route_of(active.output)
        failed = error is not None
        scope = self.scope(**here)
        return decide_edges(self.compiled, self.marking, start.node, failed=failed, route=route, scope=scope)

    def save(self, start: Start, scope: dict[str, Any]) -> None:
        place = self.compiled.graph.position[start.node]
        rank = [self.compiled.graph.component[place], start.depth, place]
        for key, template in self.compiled.node(start.node).save.items():
            self.writes.append((key, rank, template.render(scope)))

    def scope(self, **here: Any) -> dict[str, Any]:
        dead = dead_nodes(self.compiled.graph, self.marking)
        nodes = {
            name: self.nodes.get(name) or {"status": "skipped" if name in dead else "pending", "visit": 0}
            for name in self.compiled.graph.nodes
        }
        run = {"id": "run", "started_at": "2026-01-01T00:00:00Z"}
        return {"inputs": self.inputs, "context": self.context(), "nodes": nodes, "run": run, **here}

    def context(self) -> dict[str, Any]:
        declared = self.compiled.definition.context
        values = {key: spec.initial for key, spec in declared.items() if "initial" in spec.model_fields_set}
        for key, _, value in sorted(self.writes, key=lambda write: write[1]):
            reducer = declared[key].reducer if key in declared else "overwrite"
            values[key] = _REDUCERS[reducer](values.get(key), value)
        return values

    def output(self) -> Any:
        if self.compiled.outputs is not None:
            return self.compiled.outputs.render(self.scope())
        graph = self.compiled.graph
        ends = [graph.nodes[place] for place in graph.ends]
        return {name: self.nodes[name]["output"] for name in ends if "output" in self.nodes.get(name, {})}


class _Failure(Exception):
    """What a fail node, or an agent of a test, raises."""


_REDUCERS: dict[str, Callable[[Any, Any], Any]] = {
    "overwrite": lambda _, value: value,
    "append": lambda before, value: [*(before or []), value],
    "merge": lambda before, value: {**(before or {}), **value},
    "add": lambda before, value: (before or 0) + value,
}

"""`start_at` and `nodes: {id: {class, next_node}}`: every node is of a class, and all share one context."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from apps.workflows.engine.dialects.translation import (
    Translation,
    check_edges,
    check_size,
    parsed,
    stop_on,
    template,
    unknown,
    without_empty,
)
from apps.workflows.engine.errors import DefinitionError, Issue, pointer
from apps.workflows.engine.parts import Part
from apps.workflows.engine.spec import Name

NodeClasses = Mapping[str, Sequence[str] | None]  # class name: the classes or node ids it routes to, where it says so

END = "EndNode"
_Edge = dict[str, Any]


class State(Part):
    """A node of some class."""

    class_: Name = Field(alias="class")
    next_node: str | None = None


class StateMachine(Part):
    """The document."""

    name: Name
    start_at: str
    nodes: dict[str, State] = Field(min_length=1)
    description: str | None = None
    metadata: dict[str, Any] | None = None


def translate(document: dict[str, Any], node_classes: NodeClasses | None) -> Translation:
    """The canonical document: a node for each node, `start_at` first, and an edge for each way it may go."""
    check_size(document, "nodes")
    shape = parsed(StateMachine, document)
    stop_on(list(_unknown_names(shape, node_classes)))
    edges = _Ways(shape, node_classes or {}).edges()
    stop_on(_unreached(shape, [edge for _, edge in edges]))
    ordered = sorted(shape.nodes, key=lambda node_id: node_id != shape.start_at)
    header = {"name": shape.name, "description": shape.description}
    body = {
        "context": {"shared": {"reducer": "merge", "initial": {}}},
        "nodes": {node_id: _node(shape.nodes[node_id]) for node_id in ordered},
        "edges": [edge for _, edge in edges],
        "metadata": shape.metadata,
    }
    origins = {pointer("edges", number): origin for number, (origin, _) in enumerate(edges)}
    origins |= {pointer("nodes", name, "agent"): pointer("nodes", name, "class") for name in shape.nodes}
    return Translation(document, without_empty(header | body), origins)


def _node(state: State) -> dict[str, Any]:
    return {
        "type": "agent",
        "agent": state.class_,
        "input": template("merge(inputs, context.shared)"),
        "save": {"shared": template("output")},
    }


def _unknown_names(shape: StateMachine, node_classes: NodeClasses | None) -> Iterator[Issue]:
    if shape.start_at not in shape.nodes:
        yield unknown("/start_at", "node", shape.start_at, shape.nodes)
    for node_id, state in shape.nodes.items():
        if node_classes is not None and state.class_ not in node_classes:
            yield unknown(pointer("nodes", node_id, "class"), "class", state.class_, node_classes)
        if state.next_node is not None and state.next_node not in shape.nodes:
            yield unknown(pointer("nodes", node_id, "next_node"), "node", state.next_node, shape.nodes)
        if state.next_node is not None and state.class_ == END:
            yield Issue(
                pointer("nodes", node_id, "next_node"), "end_leads_on", f"Nothing follows a node of class {END}."
            )


class _Ways:
    """Where each node may go."""

    def __init__(self, shape: StateMachine, node_classes: NodeClasses) -> None:
        self.nodes = shape.nodes
        self.targets = {name: targets for name, targets in node_classes.items() if targets}
        self.by_class: dict[str, list[str]] = {}
        for node_id, state in shape.nodes.items():
            self.by_class.setdefault(state.class_, []).append(node_id)
        self.routers = [name for name, state in shape.nodes.items() if state.next_node is None and state.class_ != END]
        self.led_to = {shape.start_at} | {state.next_node for state in shape.nodes.values() if state.next_node}

    def edges(self) -> list[tuple[str, _Edge]]:
        """Every edge, with the pointer of what says so."""
        declared = {router: list(self.declared(router)) for router in self.routers}
        self.led_to |= {edge["to"] for ways in declared.values() for edge in ways}
        open_ended = [name for name in self.nodes if name not in self.led_to]
        free = [router for router in self.routers if self.nodes[router].class_ not in self.targets]
        check_edges(len(free) * len(open_ended) + sum(map(len, declared.values())), "/nodes")
        found: list[tuple[str, _Edge]] = []
        for name, state in self.nodes.items():
            where = pointer("nodes", name)
            if state.next_node is not None:
                found.append((where + "/next_node", {"from": name, "to": state.next_node}))
            found += [(where + "/class", edge) for edge in declared.get(name, ())]
            if name in free:
                found += [(where, _route(name, target, target)) for target in open_ended if target != name]
        return found

    def declared(self, router: str) -> Iterator[_Edge]:
        """The ways that the router's class names; a class it may go to need not stand in every workflow."""
        targets = self.targets.get(self.nodes[router].class_, ())
        ways = [_route(router, node_id, target) for target in targets for node_id in self.meant(router, target)]
        if targets and not ways:
            message = f"'{router}' goes on to {' or '.join(targets)}, but no node is of such a class."
            raise DefinitionError([Issue(pointer("nodes", router), "no_target", message, "Add one, or a next_node.")])
        yield from ways

    def meant(self, router: str, target: str) -> list[str]:
        """The node that a target names, by its id or its class."""
        if target in self.nodes:
            return [target]
        nodes = self.by_class.get(target, [])
        if len(nodes) > 1:
            nodes = [name for name in nodes if name not in self.led_to] or nodes
        if len(nodes) > 1:
            message = f"'{router}' goes on to a node of class {target}, but there are several: {', '.join(nodes[:8])}."
            issue = Issue(
                pointer("nodes", router), "ambiguous_target", message, "Leave one that nothing else leads to."
            )
            raise DefinitionError([issue])
        return nodes


def _route(source: str, target: str, name: str) -> _Edge:
    return {"from": source, "to": target, "route": name}


def _unreached(shape: StateMachine, edges: Sequence[_Edge]) -> list[Issue]:
    """Only `start_at` may start, so it has to lead to every node."""
    following: dict[str, list[str]] = {}
    for edge in edges:
        following.setdefault(edge["from"], []).append(edge["to"])
    reached, waiting = {shape.start_at}, [shape.start_at]
    while waiting:
        for target in following.get(waiting.pop(), ()):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return [
        Issue(
            pointer("nodes", name), "unreachable", f"'{shape.start_at}' does not lead to '{name}'.", "Add a next_node."
        )
        for name in shape.nodes
        if name not in reached
    ]

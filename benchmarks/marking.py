"""What the engine's pure part costs: deciding what starts next, and compiling a definition.

No database and no other process has a part in it, so the time is the processor's: others on the machine cost nothing.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from itertools import islice
from statistics import median

from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.graph import Graph
from apps.workflows.engine.marking import Completion, advance, begin
from apps.workflows.engine.spec import parse_definition
from apps.workflows.services.compiled import compiled_version
from benchmarks.ours import Definition, Ours, chain_of
from benchmarks.report import Row
from benchmarks.sizes import Sizes

TRANSITION_TO_REACH, COMPILE_TO_REACH, LOOKUP_TO_REACH = 30, 100, 5  # microseconds, milliseconds, microseconds
DIAMONDS = 25  # of four nodes each
MICRO, MILLI = 1e6, 1e3


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """The time of one of each."""
    yield _transition(sizes)
    yield _compile(sizes)
    yield _lookup(ours, sizes)


def diamonds(count: int) -> Definition:
    """A workflow that parts in two and joins again so many times."""
    names = [f"{part}{number}" for number in range(count) for part in ("begin", "left", "right", "join")]
    edges = []
    for place in range(0, len(names), 4):
        part, left, right, join, *after = names[place : place + 5]
        edges += [(part, left), (part, right), (left, join), (right, join), *((join, name) for name in after)]
    echo = {"type": "agent", "agent": "echo", "input": {"n": 1}}
    return {"nodes": dict.fromkeys(names, echo), "edges": [{"from": one, "to": other} for one, other in edges]}


def _transition(sizes: Sizes) -> Row:
    graph = compile_definition(parse_definition({"name": "diamonds", **diamonds(DIAMONDS)})).graph
    for _ in islice(_completions(graph), len(graph.nodes)):  # what a graph works out once
        pass
    began = time.thread_time()
    for _ in islice(_completions(graph), sizes.transitions):
        pass
    took = (time.thread_time() - began) / sizes.transitions * MICRO
    what = f"marking: a transition, graph of {len(graph.nodes)} nodes"
    return Row(what, took, "µs", TRANSITION_TO_REACH, {"graphlib": _with_graphlib(graph, sizes.transitions)})


def _completions(graph: Graph) -> Iterator[None]:
    """Run after run of the graph, one completion at a time."""
    while True:
        marking, starts = begin(graph)
        active = deque(start.node for start in starts)
        while active:
            node = active.popleft()
            taken = [edge.number for edge in graph.outgoing[graph.position[node]]]
            marking, starts = advance(graph, marking, Completion(node, taken))
            active.extend(start.node for start in starts)
            yield


def _with_graphlib(graph: Graph, transitions: int) -> float:
    """The same order from the standard library, which knows joins and nothing else: microseconds."""
    before = {node: [edge.source for edge in graph.incoming[node]] for node in range(len(graph.nodes))}
    done, began = 0, time.thread_time()
    while done < transitions:
        sorter = TopologicalSorter(before)
        sorter.prepare()
        while sorter.is_active():
            ready = sorter.get_ready()
            sorter.done(*ready)
            done += len(ready)
    return (time.thread_time() - began) / done * MICRO


def _compile(sizes: Sizes) -> Row:
    text = json.dumps({"name": "compiled", **chain_of(sizes.compiled)})
    took = _median(lambda: compile_definition(parse_definition(json.loads(text))), sizes.repeats) * MILLI
    parsed = _median(lambda: json.loads(text), sizes.repeats) * MILLI
    what = f"compile a definition of {sizes.compiled:,} nodes"
    return Row(what, took, "ms", COMPILE_TO_REACH if sizes.compiled == 1000 else None, {"json.loads": parsed})  # noqa: PLR2004


def _lookup(ours: Ours, sizes: Sizes) -> Row:
    version = ours.saved("lookup", json.dumps(diamonds(DIAMONDS))).pk
    known = {version: compiled_version(version)}

    def each(look: Callable[[], object]) -> float:
        began = time.thread_time()
        for _ in range(sizes.transitions):
            look()
        return (time.thread_time() - began) / sizes.transitions * MICRO

    reference = {"a dict": each(lambda: known.get(version))}
    return Row("look up a compiled graph", each(lambda: compiled_version(version)), "µs", LOOKUP_TO_REACH, reference)


def _median(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return median(times)

"""`steps: [...]` with `agent_type`, `input_mapping`, `output_mapping`, `depends_on` and `condition`."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pydantic import Field

from apps.workflows.engine.dialects.conditions import to_cel
from apps.workflows.engine.dialects.ordering import ordering
from apps.workflows.engine.dialects.translation import (
    Translation,
    check_size,
    member,
    node_ids,
    parsed,
    template,
    titled,
    unused_id,
    without_empty,
)
from apps.workflows.engine.errors import pointer
from apps.workflows.engine.parts import Part
from apps.workflows.engine.spec import Name


class Step(Part):
    """What one agent does; its name is its task type."""

    name: Name
    agent_type: Name
    input_mapping: dict[str, str] = Field(default_factory=dict)  # parameter: input or context key
    output_mapping: dict[str, str] = Field(default_factory=dict)  # result key: context key
    depends_on: list[str] = Field(default_factory=list)
    condition: str | None = Field(default=None, max_length=4_000)


class Steps(Part):
    """The document."""

    name: Name
    steps: list[Step] = Field(min_length=1)
    description: str | None = None
    metadata: dict[str, Any] | None = None


def translate(document: dict[str, Any]) -> Translation:
    """The canonical document: a node for each step, and one before it where its condition needs a place of its own."""
    check_size(document, "steps")
    return _Translator(document, parsed(Steps, document)).translate()


class _Translator:
    def __init__(self, document: Any, shape: Steps) -> None:
        names = [step.name for step in shape.steps]
        self.source = document
        self.shape = shape
        self.steps = shape.steps
        self.ids = node_ids(names, "step")
        self.taken = set(self.ids)
        self.written_order = ordering("steps", names, [step.depends_on for step in self.steps])
        self.optional_inputs: dict[str, None] = {}  # an ordered set, filled as they are read
        self.nodes: dict[str, Any] = {}
        self.edges: list[dict[str, Any]] = []
        self.origins: dict[str, str] = {}

    def translate(self) -> Translation:
        for number in range(len(self.steps)):
            self.add(number)
        header = {"name": self.shape.name, "description": self.shape.description, "inputs": self.inputs()}
        body = {"nodes": self.nodes, "edges": self.edges, "metadata": self.shape.metadata}
        return Translation(self.source, without_empty(header | body), self.origins)

    def add(self, number: int) -> None:
        step, node_id = self.steps[number], self.ids[number]
        before = [self.ids[other] for other in self.written_order.needed[number]]
        if step.condition is not None and len(before) != 1:
            before = [self.add_gate(number, before)]
        self.nodes[node_id] = titled(self.node(number), node_id, step.name)
        self.note_origins(number)
        for other in before:
            self.add_edge(number, other)

    def add_gate(self, number: int, before: Sequence[str]) -> str:
        """A node in which all that the step depends on comes together, so that its condition is decided once."""
        gate = unused_id(f"{self.ids[number]}_condition", self.taken)
        self.taken.add(gate)
        self.nodes[gate] = {"type": "set"}
        self.edges += [{"from": other, "to": gate} for other in before]
        self.origins[pointer("nodes", gate)] = pointer("steps", number)
        return gate

    def add_edge(self, number: int, source: str) -> None:
        step = self.steps[number]
        where, edge = pointer("edges", len(self.edges)), {"from": source, "to": self.ids[number]}
        self.origins[where] = pointer("steps", number, "depends_on")
        if step.condition is not None:
            edge["when"] = to_cel(step.condition, _StepNames(self, number))
            self.origins[where + "/when"] = pointer("steps", number, "condition")
        self.edges.append(edge)

    def node(self, number: int) -> dict[str, Any]:
        step, names = self.steps[number], _StepNames(self, number)
        mapped = {parameter: template(names.read(name)) for parameter, name in step.input_mapping.items()}
        save = {key: template(member("output", result)) for result, key in step.output_mapping.items()}
        agent = {"type": "agent", "agent": step.agent_type, "input": {"task_type": step.name, **mapped}}
        return without_empty(agent | {"save": save})

    def note_origins(self, number: int) -> None:
        node, step = pointer("nodes", self.ids[number]), pointer("steps", number)
        self.origins |= {node: step, node + "/agent": step + "/agent_type", node + "/input": step + "/input_mapping"}
        self.origins[node + "/save"] = step + "/output_mapping"
        for result, key in self.steps[number].output_mapping.items():
            self.origins[node + pointer("save", key)] = step + pointer("output_mapping", result)

    def inputs(self) -> dict[str, Any] | None:
        """The JSON Schema of the run's input."""
        names = self.required_inputs | self.optional_inputs
        if not names:
            return None
        required = {"required": list(self.required_inputs)} if self.required_inputs else {}
        return {"type": "object", **required, "properties": {name: {} for name in names}}

    # ---- what is known ----------------------------------------------------------------------------

    @cached_property
    def writers(self) -> dict[str, int]:
        """For each context key the steps (as bits) that write it."""
        writers: dict[str, int] = {}
        for number, step in enumerate(self.steps):
            for key in step.output_mapping.values():
                writers[key] = writers.get(key, 0) | 1 << number
        return writers

    @cached_property
    def mapped_names(self) -> frozenset[str]:
        """What input mappings name."""
        return frozenset(name for step in self.steps for name in step.input_mapping.values())

    @cached_property
    def required_inputs(self) -> dict[str, None]:
        """The inputs without which some step that always runs would read nothing."""
        always = [step for number, step in enumerate(self.steps) if number in self.unconditional]
        names = [name for step in always for name in step.input_mapping.values()]
        return dict.fromkeys(name for name in names if name not in self.writers)

    def is_written_before(self, name: str, number: int) -> bool:
        """Whether a step has surely written the context key when the step at `number` starts."""
        return bool(self.writers.get(name, 0) & self.ran_before[number])

    @cached_property
    def unconditional(self) -> frozenset[int]:
        """Steps that run in every run."""
        found: set[int] = set()
        for number in self.written_order.order:
            needed = self.written_order.needed[number]
            if self.steps[number].condition is None and (not needed or not found.isdisjoint(needed)):
                found.add(number)
        return frozenset(found)

    @cached_property
    def ran_before(self) -> Sequence[int]:
        """For each step those (as bits) that have surely run when it starts."""
        before = [0] * len(self.steps)
        for number in self.written_order.order:
            needed = self.written_order.needed[number]
            ways = {other: before[other] | 1 << other for other in needed}
            for other, way in ways.items():
                if other in self.unconditional:
                    before[number] |= way
            common = -1 if ways else 0
            for way in ways.values():  # it came at least one of these ways
                common &= way
            before[number] |= common
        return before


class _StepNames:
    """The names that one step can read."""

    def __init__(self, translator: _Translator, number: int) -> None:
        self.translator = translator
        self.number = number

    def knows(self, name: str) -> bool:
        """Whether some step reads or writes the name."""
        return name in self.translator.writers or name in self.translator.mapped_names

    def read(self, name: str) -> str:
        """The expression that reads a name, null where it is missing."""
        if self.translator.is_written_before(name, self.number):
            return member("context", name)
        if name in self.translator.required_inputs:
            return member("inputs", name)
        self.translator.optional_inputs[name] = None
        given = member("inputs", name, optional=True)
        if name in self.translator.writers:
            return f"{member('context', name, optional=True)}.or({given}).orValue(null)"
        return f"{given}.orValue(null)"

    def is_given(self, name: str) -> bool:
        """Whether the name surely has a value."""
        return self.translator.is_written_before(name, self.number) or name in self.translator.required_inputs

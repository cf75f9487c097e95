"""The workflow format as Pydantic models: the one source of its JSON Schema, the editor's completion and the docs."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from apps.workflows.engine.degrading import MOST_STEPS, Step
from apps.workflows.engine.durations import Duration, parse_duration
from apps.workflows.engine.errors import DefinitionError, Issue, did_you_mean, pointer
from apps.workflows.engine.parts import Part, Schema
from apps.workflows.engine.retry import RetryPolicy
from apps.workflows.engine.validation import MAX_ISSUES, validated

MAX_NODES = 10_000
MAX_EDGES = 50_000

_NODE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}")
NodeId = Annotated[str, Field(pattern=f"^{_NODE_ID.pattern}$")]
ContextName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
OnUnknown = Literal["ask", "fail", "retry"]
Reducer = Literal["overwrite", "append", "merge", "add"]


class Retry(Part):
    """How a failed node is tried again."""

    attempts: int = Field(default=3, ge=1, le=100)
    """How often the node is tried in all, the first time included."""
    delay: Duration = 1.0
    """The rest before the second attempt."""
    backoff: float = Field(default=2.0, ge=1, le=10)
    """What the rest is multiplied with after each attempt."""
    max_delay: Duration = 60.0
    """The longest rest."""
    jitter: bool = True
    """Whether the rest is drawn at random between zero and what the rules above give."""

    def policy(self) -> RetryPolicy:
        """The same as the engine's plain value."""
        return RetryPolicy(self.attempts, self.delay, self.backoff, self.max_delay, self.jitter)


class Node(Part):
    """What every node has, whatever its type."""

    # Fields whose value may hold {{ }} expressions, evaluated when the node starts.
    templates: ClassVar[tuple[str, ...]] = ("input",)

    type: str
    title: str | None = Field(default=None, max_length=200)
    description: str | None = None
    needs: list[NodeId] | NodeId | None = None
    """Nodes that lead here: short for an edge from each."""
    when: str | None = None
    """The condition on the edges of `needs`."""
    input: Any = None
    save: dict[ContextName, Any] | None = None
    """Context keys to write when the node has completed."""
    retry: Retry | None = None
    timeout: Duration | None = None
    join: Literal["all", "first"] = "all"
    on_error: Literal["fail", "continue"] = "fail"
    idempotent: bool = True
    """Whether the node may run again after its worker was lost."""

    @property
    def needed(self) -> list[str]:
        """The nodes of `needs`, however they were written."""
        return [self.needs] if isinstance(self.needs, str) else list(self.needs or ())

    @model_validator(mode="after")
    def _when_stands_beside_needs(self) -> Self:
        if self.when is not None and not self.needed:
            raise ValueError(
                "'when' on a node is the condition on its 'needs', but there are none; put it on an edge instead"
            )
        return self


class AgentNode(Node):
    """Runs an agent, chosen by name or by what it can do."""

    type: Literal["agent"]
    agent: str | None = None
    capability: str | None = None
    config: dict[str, Any] | None = None
    """Settings of the agent, checked against its Config."""
    model: str | None = None
    session: str | None = None
    on_unknown: OnUnknown | None = None
    """What happens to a call of a tool that may have taken effect before a crash; without it the tool says."""
    degrade: list[Step] | None = Field(default=None, min_length=1, max_length=MOST_STEPS)
    """What the node goes on with, one after the other, when its agent cannot work or has failed for good."""
    templates: ClassVar[tuple[str, ...]] = ("input", "session")

    @model_validator(mode="after")
    def _is_named_one_way(self) -> Self:
        if (self.agent is None) == (self.capability is None):
            raise ValueError("name exactly one of 'agent' and 'capability'")
        return self


class ToolNode(Node):
    """Calls one tool of the toolbelt."""

    type: Literal["tool"]
    tool: str
    connection: str | None = None
    on_unknown: OnUnknown | None = None
    """What happens to the call when it may have taken effect before a crash; without it the tool says."""


class SetNode(Node):
    """Computes values; has no side effect."""

    type: Literal["set"]
    values: dict[str, Any] = Field(default_factory=dict)
    templates: ClassVar[tuple[str, ...]] = ("values",)


class MapNode(Node):
    """Runs one inner node or one workflow for every item of a list; its output is the list of their outputs."""

    type: Literal["map"]
    over: Any
    as_: str = Field(default="item", alias="as", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    node: SerializeAsAny[Node] | None = None
    workflow: str | None = None
    max_parallel: int = Field(default=10, ge=1, le=1000)
    on_item_error: Literal["fail", "collect"] = "fail"
    templates: ClassVar[tuple[str, ...]] = ("over",)

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if (self.node is None) == (self.workflow is None):
            raise ValueError("name exactly one of 'node' and 'workflow'")
        if self.node is not None and self.node.type == "map":
            raise ValueError("a map inside a map is written as a workflow of its own: name it in 'workflow'")
        if self.node is not None and self.node.needed:
            raise ValueError("the inner node of a map has no 'needs'; put them on the map itself")
        return self

    @property
    def body(self) -> Node:
        """The node that runs for each item; a workflow is run by a node of type workflow."""
        if self.node is not None:
            return self.node
        return WorkflowNode(type="workflow", workflow=self.workflow or "", input=self.input)


class WorkflowNode(Node):
    """Runs another workflow as a child run; its output is that run's output."""

    type: Literal["workflow"]
    workflow: str
    version: int | None = Field(default=None, ge=1)


class ApprovalNode(Node):
    """Waits for a person to approve or reject."""

    type: Literal["approval"]
    message: str
    assignees: list[str] | str = Field(default_factory=list)
    form: Schema | None = None
    on_timeout: Literal["approve", "reject", "fail"] = "fail"
    templates: ClassVar[tuple[str, ...]] = ("message", "assignees", "input")


class WaitNode(Node):
    """Waits for a span of time, a moment or an outside event."""

    type: Literal["wait"]
    seconds: float | str | None = None
    until: str | None = None
    event: str | None = None
    templates: ClassVar[tuple[str, ...]] = ("seconds", "until", "event")

    @model_validator(mode="after")
    def _waits_for_one_thing(self) -> Self:
        if sum(value is not None for value in (self.seconds, self.until, self.event)) != 1:
            raise ValueError("name exactly one of 'seconds', 'until' and 'event'")
        return self

    @field_validator("seconds")
    @classmethod
    def _is_a_duration(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, str) and "{{" not in value:
            parse_duration(value)
        if isinstance(value, float) and not 0 <= value <= 10 * 365 * 86_400:
            raise ValueError("a wait is between 0 seconds and ten years")
        return value


class FailNode(Node):
    """Ends the run as failed with a message."""

    type: Literal["fail"]
    message: str = "The workflow reached a fail node."
    templates: ClassVar[tuple[str, ...]] = ("message",)


class Edge(Part):
    """A way from one node to another."""

    source: NodeId = Field(alias="from")
    target: NodeId = Field(alias="to")
    when: str | None = None
    """A condition over the finished node; false means the edge is not taken."""
    route: str | None = Field(default=None, min_length=1, max_length=200)
    """Taken when the node's result names this route."""
    on: Literal["success", "error", "always"] = "success"
    max: int | None = Field(default=None, ge=1, le=1_000_000)
    """How often a run may take this edge."""


class ContextKey(Part):
    """A shared key of a run: how writes to it come together."""

    reducer: Reducer = "overwrite"
    initial: Any = None
    description: str | None = None

    @model_validator(mode="after")
    def _initial_fits_the_reducer(self) -> Self:
        wanted: dict[str, tuple[type, ...]] = {"append": (list,), "merge": (dict,), "add": (int, float)}
        types = wanted.get(self.reducer)
        if (
            types
            and self.initial is not None
            and (not isinstance(self.initial, types) or isinstance(self.initial, bool))
        ):
            kind = {"append": "a list", "merge": "an object", "add": "a number"}[self.reducer]
            raise ValueError(f"the initial value of an '{self.reducer}' key is {kind}")
        return self


class Header(Part):
    """Everything of a definition but its nodes."""

    name: Name
    title: str | None = Field(default=None, max_length=200)
    description: str | None = None
    inputs: Schema | None = None
    """JSON Schema that a run's input is validated against."""
    context: dict[ContextName, ContextKey] = Field(default_factory=dict)
    edges: list[Edge] = Field(default_factory=list)
    outputs: dict[str, Any] | None = None
    timeout: Duration | None = None
    """How long a run may take in all."""
    metadata: dict[str, Any] | None = None
    """Anything the author wants to keep with the workflow; the engine does not read it."""


class Definition(Header):
    """A workflow as people write it."""

    nodes: dict[NodeId, SerializeAsAny[Node]]

    def document(self) -> dict[str, Any]:
        """The definition in canonical form: what was written, in the order of the format, nothing added."""
        written = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        written["nodes"] = {name: _ordered_node(node) for name, node in written["nodes"].items()}
        return {key: written[key] for key in _ORDER if key in written}


_ORDER = ("name", "title", "description", "inputs", "context", "timeout", "nodes", "edges", "outputs", "metadata")
_NODE_TYPES: dict[str, type[Node]] = {}


def register_node_type(model: type[Node]) -> type[Node]:
    """Adds a node type; its name is the literal of the model's field `type`."""
    (name,) = model.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
    _NODE_TYPES[name] = model
    return model


for _model in (AgentNode, ToolNode, SetNode, MapNode, WorkflowNode, ApprovalNode, WaitNode, FailNode):
    register_node_type(_model)


def node_types() -> Mapping[str, type[Node]]:
    """Every known node type by name."""
    return _NODE_TYPES


def parse_definition(document: Any) -> Definition:
    """The definition that `document` (parsed JSON or YAML in canonical form) describes.

    Raises DefinitionError with every issue found, each with a JSON Pointer into the document.
    """
    if not isinstance(document, dict):
        raise DefinitionError([Issue("", "not_an_object", "A workflow definition is an object.")])
    _check_size(document)
    issues: list[Issue] = []
    header = validated(Header, {key: value for key, value in document.items() if key != "nodes"}, "", issues)
    nodes = _parse_nodes(document.get("nodes"), issues)
    if issues or header is None:
        raise DefinitionError(issues[:MAX_ISSUES])
    written = {name: getattr(header, name) for name in header.model_fields_set}
    return Definition.model_construct({*written, "nodes"}, **written, nodes=nodes, **_defaults(written))


def canonical_document(document: Any) -> Any:
    """The document as a version of it would be kept; as it is where it is no definition."""
    try:
        return parse_definition(document).document()
    except DefinitionError:
        return document


def too_many(where: str, things: str, count: int, most: int) -> Issue:
    """The issue of a document that is too large."""
    message = f"A workflow has at most {most:,} {things}; this one has {count:,}."
    return Issue(where, f"too_many_{things}", message, "Cut it into workflows that run each other.")


def definition_schema() -> dict[str, Any]:
    """JSON Schema of the format, with every registered node type."""
    schema = Header.model_json_schema(by_alias=True)
    definitions = schema.setdefault("$defs", {})
    for model in _NODE_TYPES.values():
        node = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        definitions.update(node.pop("$defs", {}))
        definitions[model.__name__] = node
    node_schema = {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in _NODE_TYPES.values()]}
    schema["properties"]["nodes"] = {"type": "object", "minProperties": 1, "additionalProperties": node_schema}
    schema["required"] = [*schema.get("required", []), "nodes"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Workflow"}


def _ordered_node(node: dict[str, Any]) -> dict[str, Any]:
    """What a node is comes first, then what leads to it, its type's own fields, and what all nodes have."""
    common = list(Node.model_fields)
    first = common[: common.index("input")]
    own = [field for field in node if field not in common]
    ordered = {field: node[field] for field in [*first, *own, *common] if field in node}
    return ordered | {"node": _ordered_node(node["node"])} if isinstance(node.get("node"), dict) else ordered


def _defaults(written: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the fields nobody wrote; `model_construct` would set the same but call every factory again."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in Header.model_fields.items()
        if name not in written
    }


def _check_size(document: dict[str, Any]) -> None:
    nodes, edges = document.get("nodes"), document.get("edges")
    node_count = len(nodes) if isinstance(nodes, dict) else 0
    needs = [body.get("needs") for body in nodes.values() if isinstance(body, dict)] if isinstance(nodes, dict) else []
    edge_count = sum(len(value) for value in (edges, *needs) if isinstance(value, list))
    for field, count, most in (("nodes", node_count, MAX_NODES), ("edges", edge_count, MAX_EDGES)):
        if count > most:
            raise DefinitionError([too_many(pointer(field), field, count, most)])


def _parse_nodes(raw: Any, issues: list[Issue]) -> dict[str, Node]:
    if not isinstance(raw, dict) or not raw:
        issues.append(Issue("/nodes", "no_nodes", "A workflow has at least one node, in an object by node id."))
        return {}
    nodes: dict[str, Node] = {}
    for node_id, body in raw.items():
        if len(issues) >= MAX_ISSUES:
            break
        _check_id(node_id, issues)
        if (node := _parse_node(body, pointer("nodes", node_id), issues)) is not None:
            nodes[node_id] = node
    return nodes


def _check_id(node_id: str, issues: list[Issue]) -> None:
    if not _NODE_ID.fullmatch(node_id):
        message = (
            "A node id is made of letters, digits, '_' and '-', starts with no '-' and has at most 128 characters."
        )
        issues.append(Issue(pointer("nodes", node_id[:140]), "bad_node_id", message))


def _parse_node(raw: Any, where: str, issues: list[Issue]) -> Node | None:
    if not isinstance(raw, dict):
        issues.append(Issue(where, "not_an_object", "A node is an object with at least a 'type'."))
        return None
    kind = raw.get("type")
    model = _NODE_TYPES.get(kind) if isinstance(kind, str) else None
    if model is None:
        issues.append(_unknown_type(kind, where))
        return None
    if model is MapNode and isinstance(raw.get("node"), dict):
        inner = _parse_node(raw["node"], where + "/node", issues)
        if inner is None:
            return None
        raw = {**raw, "node": inner}
    return validated(model, raw, where, issues)


def _unknown_type(kind: Any, where: str) -> Issue:
    if kind is None:
        return Issue(where, "missing", "A node has a 'type'.", did_you_mean("", _NODE_TYPES))
    message = f"There is no node type '{str(kind)[:80]}'."
    return Issue(where + "/type", "unknown_node_type", message, did_you_mean(str(kind)[:80], _NODE_TYPES))

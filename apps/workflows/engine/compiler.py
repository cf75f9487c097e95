"""From a definition to what runs: the graph, every expression compiled, and every mistake found with its place."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from apps.workflows.engine import schemas
from apps.workflows.engine.degrading import asked_person, kind_of, name_of, repeated
from apps.workflows.engine.errors import DefinitionError, ExpressionError, Issue, did_you_mean, pointer, shorten
from apps.workflows.engine.expressions import ROOTS, Expression, Reference, compile_expression, plain_path
from apps.workflows.engine.graph import Graph, GraphEdge
from apps.workflows.engine.spec import (
    AgentNode,
    ApprovalNode,
    Definition,
    Edge,
    MapNode,
    Node,
    ToolNode,
    WorkflowNode,
)
from apps.workflows.engine.templates import Template, compile_template
from apps.workflows.engine.validation import MAX_ISSUES
from apps.workflows.engine.words import Name, is_computed, names_read, others_words

NODE_FIELDS = frozenset({"output", "status", "error", "visit", "degraded"})
MAX_EXPRESSIONS = 30_000
MAX_CHARACTERS = 150_000  # of all expressions that need the evaluator's compiler, which takes 15 µs for each
_MESSAGE = 1_000  # characters of a message; names in it may be of any length
_EXPRESSION_COST = 20  # characters that take as long as what a compilation takes at the least
_TOO_MANY_EXPRESSIONS = Issue(
    "",
    "too_many_expressions",
    "The expressions are too many or too long.",
    "Cut it into several workflows.",
)
_STARTING = ROOTS | {"visit"}
_ENDING = _STARTING | {"output", "error"}


class Catalogue(Protocol):
    """What exists beside the workflow, so that names can be checked when it is saved."""

    @property
    def agents(self) -> Collection[str]: ...

    @property
    def capabilities(self) -> Collection[str]: ...

    @property
    def tools(self) -> Collection[str]: ...

    @property
    def models(self) -> Collection[str]: ...

    @property
    def workflows(self) -> Collection[str]: ...


@dataclass(frozen=True)
class Needs:
    """What a set of expressions reads, so that no more than that is fetched; None stands for all."""

    nodes: frozenset[str] | None = frozenset()
    context: frozenset[str] | None = frozenset()

    @classmethod
    def of(cls, references: Iterable[Reference]) -> "Needs":
        """What `references` read of nodes and context."""
        paths = [reference.path for reference in references]
        return cls(_second(paths, "nodes"), _second(paths, "context"))

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(_union(self.nodes, other.nodes), _union(self.context, other.context))


@dataclass(frozen=True)
class CompiledNode:
    """A node with its expressions compiled."""

    name: str
    spec: Node
    templates: Mapping[str, Template]  # by field
    save: Mapping[str, Template]  # by context key
    conditions: Sequence[Expression] = ()  # of the edges that lead on
    body: "CompiledNode | None" = None  # of a map: the node that runs for each item

    @cached_property
    def starting_needs(self) -> Needs:
        """What is read when the node starts; of a map, its items too."""
        own = Needs.of(_references(self.templates.values()))
        return own | self.body.starting_needs if self.body else own

    @cached_property
    def ending_needs(self) -> Needs:
        """What is read when the node has ended."""
        conditions = (reference for condition in self.conditions for reference in condition.references)
        return Needs.of([*_references(self.save.values()), *conditions])

    @cached_property
    def reads(self) -> frozenset[Name]:
        """Whose words may be in its fields when it starts; of a map, in those of its items too."""
        own = names_read(_references(self.templates.values()))
        return own | self.body.reads if self.body else own

    def render_fields(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the fields that were written; raises ExpressionError naming node and field."""
        return {name: self._render(name, template, scope) for name, template in self.templates.items()}

    def render_save(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the context keys to save; raises ExpressionError naming node and key."""
        return {key: self._render(f"save.{key}", template, scope) for key, template in self.save.items()}

    def _render(self, field: str, template: Template, scope: Mapping[str, Any]) -> Any:
        try:
            return template.render(scope)
        except ExpressionError as error:
            message = f"In '{field}' of node '{self.name}': {error.message}"
            raise ExpressionError(message, code=error.code, fix=error.fix) from None


@dataclass(frozen=True)
class Compiled:
    """A definition ready to run."""

    definition: Definition
    graph: Graph
    nodes: Sequence[CompiledNode]  # as in the graph
    conditions: Sequence[Expression | None]  # by edge number
    outputs: Template | None
    warnings: Sequence[Issue] = field(default_factory=list)

    def node(self, name: str) -> CompiledNode:
        """The node of that name."""
        return self.nodes[self.graph.position[name]]

    @cached_property
    def degrades(self) -> bool:
        """Whether an answer may come from a step of `degrade`."""
        specs = [node.body.spec if node.body else node.spec for node in self.nodes]
        return any(isinstance(spec, AgentNode) and spec.degrade for spec in specs)

    @cached_property
    def output_needs(self) -> Needs:
        """What the run's output reads."""
        return Needs.of(_references([self.outputs])) if self.outputs else Needs(frozenset(self._end_names()))

    def is_given_others_words(self, name: str, *, inputs: bool) -> bool:
        """Tell whether others' words may be in what a node is given; with `inputs` the run's input is such."""
        others = self._others_words_with_inputs if inputs else self._others_words
        return not others.isdisjoint(self.node(name).reads)

    @cached_property
    def _others_words(self) -> frozenset[Name]:
        return others_words(self.definition.nodes, self._made_of, inputs=False)

    @cached_property
    def _others_words_with_inputs(self) -> frozenset[Name]:
        return others_words(self.definition.nodes, self._made_of, inputs=True)

    @cached_property
    def _made_of(self) -> dict[Name, frozenset[Name]]:
        """What each key of the context, and the output of each node that only computes, is made of."""
        made: dict[Name, frozenset[Name]] = {
            ("nodes", node.name): node.reads for node in self.nodes if is_computed(node.spec)
        }
        for node in self.nodes:
            for key, template in [*node.save.items(), *(node.body.save.items() if node.body else ())]:
                read = names_read(_references([template]), node.name)
                made["context", key] = made.get(("context", key), frozenset()) | read
        return made

    def _end_names(self) -> list[str]:
        return [self.graph.nodes[place] for place in self.graph.ends]


def compile_definition(
    definition: Definition, catalogue: Catalogue | None = None, *, loop_bound: int = 100
) -> Compiled:
    """The compiled form of `definition`.

    Raises DefinitionError with every issue found. Without a catalogue, names of agents, tools and
    workflows are not checked: what was saved once is compiled again as it is.
    """
    return _Compiler(definition, catalogue, loop_bound).compile()


class _Compiler:
    def __init__(self, definition: Definition, catalogue: Catalogue | None, loop_bound: int) -> None:
        self.definition = definition
        self.catalogue = catalogue
        self.loop_bound = loop_bound
        self.issues: list[Issue] = []
        self.warnings: list[Issue] = []
        self.counted: set[str] = set()
        self.characters = 0
        self.expressions = 0
        self.written_keys = frozenset(definition.context) | _saved_keys(definition.nodes.values())
        self.input_names = _declared_inputs(definition.inputs)

    def compile(self) -> Compiled:
        edges = list(self._edges())
        self._stop_on_issues()
        graph = self._graph([edge for _, edge in edges])
        conditions = [self._condition(edge.when, where) for where, edge in edges]
        nodes = [
            self._node(name, node, [conditions[edge.number] for edge in graph.outgoing[place]])
            for place, (name, node) in enumerate(self.definition.nodes.items())
        ]
        outputs = self._outputs()
        self._check_schemas()
        self._warn_of_far_reads(graph, nodes)
        self._stop_on_issues()
        return Compiled(self.definition, graph, nodes, conditions, outputs, self.warnings)

    def _stop_on_issues(self) -> None:
        if self.issues:
            raise DefinitionError(self.issues)

    # ---- the graph --------------------------------------------------------------------------------

    def _edges(self) -> Iterable[tuple[str, Edge]]:
        """Every edge with its place: those of `edges`, then those of each node's `needs`."""
        for number, edge in enumerate(self.definition.edges):
            where = pointer("edges", number)
            self._check_end(edge.source, where + "/from")
            self._check_end(edge.target, where + "/to")
            yield where, edge
        for name, node in self.definition.nodes.items():
            for number, needed in enumerate(node.needed):
                where = pointer("nodes", name, "needs")
                self._check_end(needed, where if isinstance(node.needs, str) else where + pointer(number))
                yield pointer("nodes", name), Edge.model_construct(source=needed, target=name, when=node.when)

    def _check_end(self, name: str, where: str) -> None:
        if name not in self.definition.nodes:
            self._report(
                where, "unknown_node", f"There is no node '{name}'.", did_you_mean(name, self.definition.nodes)
            )

    def _graph(self, edges: Sequence[Edge]) -> Graph:
        names = list(self.definition.nodes)
        position = {name: place for place, name in enumerate(names)}
        graph_edges = [
            GraphEdge(number, position[edge.source], position[edge.target], edge.when, edge.route, edge.on, edge.max)
            for number, edge in enumerate(edges)
        ]
        first = frozenset(position[name] for name, node in self.definition.nodes.items() if node.join == "first")
        graph = Graph(names, graph_edges, first, self.loop_bound)
        for place in graph.unreachable:
            self._report(
                pointer("nodes", names[place]),
                "unreachable",
                f"No entry of the workflow leads to the node '{names[place]}'.",
                "Add an edge to it, or take it out.",
            )
        return graph

    # ---- the nodes --------------------------------------------------------------------------------

    def _node(self, name: str, node: Node, conditions: Iterable[Expression | None]) -> CompiledNode:
        where = pointer("nodes", name)
        body = self._map_body(name, node, where) if isinstance(node, MapNode) else None
        self._check_catalogue(node, where)
        self._check_steps(node, where)
        templates = self._templates(
            node, where, _STARTING, without={"input"} if isinstance(node, MapNode) else frozenset()
        )
        save = self._save(node, where, _ENDING)
        return CompiledNode(name, node, templates, save, [condition for condition in conditions if condition], body)

    def _map_body(self, name: str, node: MapNode, where: str) -> CompiledNode:
        inner = where + ("/node" if node.node else "")
        item_names = {node.as_, "index"}
        self._check_catalogue(node.body, inner)
        self._check_steps(node.body, inner)
        templates = self._templates(node.body, inner, _STARTING | item_names)
        return CompiledNode(name, node.body, templates, self._save(node.body, inner, _ENDING | item_names))

    def _templates(
        self, node: Node, where: str, names: frozenset[str], without: Collection[str] = ()
    ) -> dict[str, Template]:
        fields = [name for name in node.templates if name not in without and getattr(node, name) is not None]
        return {name: self._template(getattr(node, name), f"{where}/{name}", names) for name in fields}

    def _save(self, node: Node, where: str, names: frozenset[str]) -> dict[str, Template]:
        return {
            key: self._template(value, f"{where}/save{pointer(key)}", names) for key, value in (node.save or {}).items()
        }

    def _outputs(self) -> Template | None:
        if self.definition.outputs is None:
            return None
        return self._template(self.definition.outputs, "/outputs", ROOTS)

    # ---- expressions ------------------------------------------------------------------------------

    def _condition(self, text: str | None, where: str) -> Expression | None:
        if text is None:
            return None
        bare = text.strip()
        if bare.startswith("{{") and bare.endswith("}}"):  # written as a template by habit; it means the same
            bare = bare[2:-2]
        try:
            expression = self._expression(bare, _ENDING)
        except ExpressionError as error:
            self._report_expression(where + "/when", text, error)
            return None
        self._check_references(expression, where + "/when")
        return expression

    def _template(self, value: Any, where: str, names: frozenset[str]) -> Template:
        def report(place: str, text: str, error: ExpressionError) -> None:
            self._report_expression(where + place, text, error)

        template = compile_template(value, names, report, self._expression)
        for place, expression in template.expressions:
            self._check_references(expression, where + place)
        return template

    def _expression(self, text: str, names: frozenset[str]) -> Expression:
        self.expressions += 1
        if text not in self.counted and plain_path(text.strip()) is None:
            self.counted.add(text)
            self.characters += len(text) + _EXPRESSION_COST
        if self.expressions > MAX_EXPRESSIONS or self.characters > MAX_CHARACTERS:
            raise DefinitionError([_TOO_MANY_EXPRESSIONS])
        return compile_expression(text, names)

    def _check_references(self, expression: Expression, where: str) -> None:
        asked = {reference.path for reference in expression.references if reference.lenient}
        for reference in expression.references:
            # has(a.b) ? a.b : c is the lenient way to read a.b and all below it.
            if any(reference.path[:length] in asked for length in range(1, len(reference.path) + 1)):
                continue
            if problem := self._unknown(reference.path, expression):
                message, fix = problem
                self._report(where, "unknown_name", f"In '{expression.text}': {message}", fix)

    def _unknown(self, path: Sequence[str], expression: Expression) -> tuple[str, str] | None:
        root, *fields = path
        if root == "nodes" and fields:
            return self._unknown_node(fields, expression)
        if root == "context" and fields and fields[0] not in self.written_keys:
            return f"no node saves a context key '{fields[0]}'.", did_you_mean(fields[0], self.written_keys)
        if root == "inputs" and fields and self.input_names is not None and fields[0] not in self.input_names:
            return f"the workflow declares no input '{fields[0]}'.", did_you_mean(fields[0], self.input_names)
        if root == "run" and fields and fields[0] not in ("id", "started_at"):
            return f"a run has no '{fields[0]}' to read.", "Known: 'id', 'started_at'."
        return None

    def _unknown_node(self, fields: Sequence[str], expression: Expression) -> tuple[str, str] | None:
        if fields[0] not in self.definition.nodes:
            fix = self._dash_fix(expression.text) or did_you_mean(fields[0], self.definition.nodes)
            return f"there is no node '{fields[0]}'.", fix
        if len(fields) > 1 and fields[1] not in NODE_FIELDS:
            return f"a node has no '{fields[1]}'.", f"Did you mean 'nodes.{fields[0]}.output.{fields[1]}'?"
        return None

    def _dash_fix(self, text: str) -> str | None:
        dashed = next((name for name in self.definition.nodes if "-" in name and f"nodes.{name}" in text), None)
        return f"Write nodes['{dashed}'] for a name with a dash." if dashed else None

    # ---- names and schemas ------------------------------------------------------------------------

    def _check_catalogue(self, node: Node, where: str) -> None:
        if self.catalogue is None:
            return
        if isinstance(node, AgentNode) and node.agent is not None:
            self._check_known(node.agent, self.catalogue.agents, "agent", where + "/agent")
        if isinstance(node, AgentNode) and node.capability is not None:
            self._check_known(node.capability, self.catalogue.capabilities, "capability", where + "/capability")
        if isinstance(node, ToolNode):
            self._check_known(node.tool, self.catalogue.tools, "tool", where + "/tool")
        if isinstance(node, AgentNode) and node.model is not None:
            self._warn_of_unknown(node.model, self.catalogue.models, "model", where + "/model")
        if isinstance(node, AgentNode):
            self._check_named_steps(node, where, self.catalogue)
        if isinstance(node, WorkflowNode) and node.workflow != self.definition.name:
            self._warn_of_unknown(node.workflow, self.catalogue.workflows, "workflow", where + "/workflow")

    def _check_named_steps(self, node: AgentNode, where: str, catalogue: Catalogue) -> None:
        for place, step in enumerate(node.degrade or ()):
            if kind_of(step) == "agent":
                self._check_known(name_of(step), catalogue.agents, "agent", f"{where}/degrade/{place}/agent")
            elif kind_of(step) == "model":
                self._warn_of_unknown(name_of(step), catalogue.models, "model", f"{where}/degrade/{place}/model")

    def _check_steps(self, node: Node, where: str) -> None:
        """The steps of `degrade`, whatever exists."""
        if not isinstance(node, AgentNode) or node.degrade is None:
            return
        for place, told in repeated(node.agent, node.degrade):
            message = f"'{told}' has been tried before this step, and is not tried again."
            self._report(f"{where}/degrade/{place}", "step_repeated", message, "Take one of the two out.")
        for place, step in enumerate(node.degrade):
            if (form := asked_person(step).form) is not None:
                self._check_schema(form, f"{where}/degrade/{place}/person/form")

    def _check_known(self, name: str, known: Collection[str], kind: str, where: str) -> None:
        if name not in known:
            self._report(where, f"unknown_{kind}", f"There is no {kind} '{name}'.", did_you_mean(name, known))

    def _warn_of_unknown(self, name: str, known: Collection[str], kind: str, where: str) -> None:
        """What may be there by the time the node runs."""
        if name not in known:
            message = f"There is no {kind} '{name}' yet; the node fails until there is one."
            self.warnings.append(Issue(where, f"unknown_{kind}", message, did_you_mean(name, known)))

    def _check_schemas(self) -> None:
        if self.definition.inputs is not None:
            self._check_schema(self.definition.inputs, "/inputs")
        for name, node in self.definition.nodes.items():
            if isinstance(node, ApprovalNode) and node.form is not None:
                self._check_schema(node.form, pointer("nodes", name, "form"))

    def _check_schema(self, schema: dict[str, Any], where: str) -> None:
        try:
            schemas.compile_schema(schema)
        except schemas.SchemaError as error:
            self._report(where, "bad_schema", f"This is not a JSON Schema: {error}.")

    def _warn_of_far_reads(self, graph: Graph, nodes: Sequence[CompiledNode]) -> None:
        """A node that reads what nothing puts before it gets whatever happens to be there."""
        for place, node in enumerate(nodes):
            for name in sorted(node.starting_needs.nodes or ()):
                read = graph.position.get(name)
                if read is not None and not graph.may_precede(read, place):
                    message = f"'{node.name}' reads 'nodes.{name}', but no path leads from there to it."
                    fix = f"Add an edge from '{name}'; without one it may not have run yet."
                    self.warnings.append(Issue(pointer("nodes", node.name), "reads_ahead", message, fix))

    # ---- reports ----------------------------------------------------------------------------------

    def _report(self, where: str, code: str, message: str, fix: str | None = None) -> None:
        self.issues.append(Issue(where, code, shorten(message, _MESSAGE), fix))
        if len(self.issues) >= MAX_ISSUES:  # finding the nearest names of thousands of mistakes would take minutes
            raise DefinitionError(self.issues)

    def _report_expression(self, where: str, text: str, error: ExpressionError) -> None:
        message = f"In '{shorten(text)}': {error.message}" if text else error.message
        self._report(where, error.code, message, self._dash_fix(text) or error.fix)


def _references(templates: Iterable[Template]) -> list[Reference]:
    return [
        reference
        for template in templates
        for _, expression in template.expressions
        for reference in expression.references
    ]


def _second(paths: Iterable[tuple[str, ...]], root: str) -> frozenset[str] | None:
    below = [path[1:2] for path in paths if path[0] == root]
    return frozenset(name for (name,) in below) if all(below) else None


def _union(left: frozenset[str] | None, right: frozenset[str] | None) -> frozenset[str] | None:
    return None if left is None or right is None else left | right


def _saved_keys(nodes: Iterable[Node]) -> frozenset[str]:
    keys: set[str] = set()
    for node in nodes:
        keys.update(node.save or ())
        if isinstance(node, MapNode) and node.node is not None:
            keys.update(node.node.save or ())
    return frozenset(keys)


def _declared_inputs(schema: dict[str, Any] | None) -> frozenset[str] | None:
    """The input names a schema declares; None where it leaves the names open."""
    if not schema or not isinstance(schema.get("properties"), dict):
        return None
    if (
        schema.get("additionalProperties")
        or {"$ref", "allOf", "anyOf", "oneOf", "patternProperties", "if"} & schema.keys()
    ):
        return None
    return frozenset(schema["properties"])

"""A new run that takes over everything another one finished before some node.

The marking there is worked out by playing the other run's history again through the same pure
function that wrote it, so a fork stands exactly where the first run stood.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from apps.accounts.models import Organization
from apps.common.errors import Conflict, ErrorItem, Invalid
from apps.common.ids import uuid7
from apps.common.json import JSON, dumps
from apps.workflows.engine.compiler import Compiled
from apps.workflows.engine.errors import did_you_mean
from apps.workflows.engine.graph import Graph
from apps.workflows.engine.marking import Completion, Marking, advance, begin
from apps.workflows.models import Run, WorkflowVersion
from apps.workflows.services import versions
from apps.workflows.services.acting import open_transition
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.context_keys import check_values
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.inputs import accepted_input
from apps.workflows.services.runs import tell_of_start
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import clock, definitions, forks, progress, writing
from apps.workflows.store.database import Transaction, after_commit, patiently, transaction
from apps.workflows.store.rows import ContextRow, RunRow
from apps.workflows.store.values import Packer, read_value


@dataclass(frozen=True)
class _Prefix:
    """What the other run had finished before an event."""

    before: int
    marking: Marking
    visits: list[UUID]


def fork_run(
    run: Run,
    *,
    from_node: str,
    by: str,
    visit: int | None = None,
    input: Mapping[str, JSON] | None = None,  # noqa: A002
    context: Mapping[str, JSON] | None = None,
    definition: JSON = None,
) -> UUID:
    """Starts a new run at `from_node` of another run; gives its id.

    Everything finished before that visit was queued is taken over and not run again. Another input,
    other values of context keys, and another definition may be given. Raises Invalid for a node that
    never ran, a value that its key cannot have, or a definition that does not fit what was finished.
    """
    version = _version(run, definition, by)
    compiled = compiled_version(version.pk)
    schema = compiled.definition.inputs
    given = read_value(run.organization_id, run.input) if input is None else accepted_input(schema, input)
    check_values(compiled, context or {})
    fork = _Fork(uuid7(), run, version, compiled, given, context or {}, by)

    def add() -> list[tuple[UUID, str]]:
        with transaction() as tx:
            return fork.add(tx, _prefix(tx, run, from_node, visit))

    hints = patiently(add)
    after_commit(lambda: tell_of_start(fork.id, hints))
    return fork.id


def taken_over(run: Run, from_node: str, visit: int | None) -> list[UUID]:
    """The node runs that a fork at this node takes over, map items included; raises Invalid for one that never ran."""
    with transaction() as tx:
        return forks.with_items(tx, _prefix(tx, run, from_node, visit).visits)


@dataclass(frozen=True)
class _Fork:
    """A new run on its way."""

    id: UUID
    run: Run  # that it branches off
    version: WorkflowVersion
    compiled: Compiled
    input: JSON
    context: Mapping[str, JSON]
    by: str

    def add(self, tx: Transaction, prefix: _Prefix) -> list[tuple[UUID, str]]:
        """Adds the run with everything it takes over and gets it going; gives what to tell the workers."""
        if definitions.outcome(tx, self.id) is not None:
            return []  # an earlier try has landed, and its answer was lost
        marking = _moved(prefix.marking, compiled_version(self.run.version_id, tx).graph, self.compiled.graph)
        self._add_run(tx, prefix)
        self._copy(tx, prefix, marking)
        return self._go_on(tx)

    def _add_run(self, tx: Transaction, prefix: _Prefix) -> None:
        packer = Packer(self.run.organization_id)
        row = RunRow(
            id=self.id,
            organization_id=self.run.organization_id,
            version_id=self.version.pk,
            workflow_id=self.version.workflow_id,
            name=self.compiled.definition.name,
            input=packer.pack(self.input),
            priority=self.run.priority,
            created_by=self.by,
            now=clock.now(tx),
        )
        new = writing.NewRun(
            labels=self.run.labels,
            trigger="fork",
            timeout=self.compiled.definition.timeout,
            forked_from=self.run.pk,
            forked_at=prefix.before - 1,
        )
        writing.add(tx, row, {}, writing.Decided(blobs=packer.records()), new)

    def _copy(self, tx: Transaction, prefix: _Prefix, marking: Marking) -> None:
        ids = {old: uuid7() for old in forks.with_items(tx, prefix.visits)}
        forks.copy_finished(
            tx, source=self.run.pk, run=self.id, before=prefix.before, ids=ids, but_context=list(self.context)
        )
        forks.set_progress(
            tx,
            self.id,
            marking=dumps(marking.as_json()).decode(),
            last_seq=prefix.before - 1,
            visits=len(prefix.visits),
        )

    def _go_on(self, tx: Transaction) -> list[tuple[UUID, str]]:
        row = progress.lock_run(tx, self.id)
        if row is None:
            raise Conflict("The new run is gone.", code="run_not_found")
        transition = open_transition(tx, row, inline=False)
        for key, value in self.context.items():
            self._set_key(transition, key, value)
        transition.packer.write(tx)
        transition.start_active()
        return transition.write().hints

    def _set_key(self, transition: Transition, key: str, value: JSON) -> None:
        """A write by nobody, before every other: what the key starts from."""
        write = ContextRow(key, 0, [-1], transition.packer.pack(value), "", None)
        writing.insert_context(transition.tx, self.id, [write])


def _version(run: Run, definition: JSON, by: str) -> WorkflowVersion:
    if definition is None:
        return run.version
    checked = check_definition(definition, at="/definition")
    organization = Organization.objects.get(pk=run.organization_id)
    source = versions.Source(dumps(definition).decode(), "json")
    return versions.inline_version(organization=organization, checked=checked, source=source, by=by)


def _prefix(tx: Transaction, run: Run, node: str, visit: int | None) -> _Prefix:
    before = forks.queued_at(tx, run.pk, node, visit)
    if before is None:
        raise _never_ran(run, node, visit)
    graph = compiled_version(run.version_id, tx).graph
    marking, _ = begin(graph)
    taken: dict[UUID, list[int]] = {}
    ended: list[tuple[str, UUID]] = []
    for event in forks.history(tx, run.pk, before):
        if event["type"] == "edge.taken":
            taken.setdefault(event["node_run_id"], []).append(event["data"]["edge"])
        elif event["type"] == "node.completed" or event["data"].get("handled"):
            ended.append((event["node"], event["node_run_id"]))
    for name, node_run in ended:
        marking, _ = advance(graph, marking, Completion(name, taken.get(node_run, ())))
    return _Prefix(before, marking, [node_run for _, node_run in ended])


def _never_ran(run: Run, node: str, visit: int | None) -> Invalid:
    which = f"has no visit {visit} of" if visit else "never came to"
    names = compiled_version(run.version_id).graph.nodes
    fault = ErrorItem("/from_node", "unknown_node", f"The run {which} the node '{node}'.", did_you_mean(node, names))
    return Invalid(fault.message, code="unknown_node", errors=[fault])


def _moved(marking: Marking, before: Graph, after: Graph) -> Marking:
    """The marking in another graph, where nodes are known by name and edges by their ends."""
    if before is after:
        return marking
    gone = [name for name in marking.active if name not in after.position]
    found = {number: _same_edge(number, before, after) for number in {*marking.tokens, *marking.takes, *marking.absorb}}
    edges = {number: same for number, same in found.items() if same is not None}
    lost = [number for number in marking.tokens if number not in edges]
    if gone:
        raise _does_not_fit(f"the node '{gone[0]}', which was active")
    if lost:
        raise _does_not_fit(f"the edge {_ends(lost[0], before)}, which held a token")
    return replace(
        marking,
        tokens={edges[number]: depths for number, depths in marking.tokens.items()},
        takes={edges[number]: count for number, count in marking.takes.items() if number in edges},
        absorb={edges[number]: count for number, count in marking.absorb.items() if number in edges},
        visits={name: count for name, count in marking.visits.items() if name in after.position},
    )


def _does_not_fit(what: str) -> Invalid:
    fault = ErrorItem("/definition", "does_not_fit", f"The new definition lacks {what} where the fork begins.")
    return Invalid(fault.message, code="does_not_fit", errors=[fault])


def _same_edge(number: int, before: Graph, after: Graph) -> int | None:
    edge = before.edges[number]
    ends = (before.nodes[edge.source], before.nodes[edge.target])
    alike = [one for one in after.edges if (after.nodes[one.source], after.nodes[one.target]) == ends]
    exact = [one for one in alike if (one.route, one.on, one.when) == (edge.route, edge.on, edge.when)]
    return next((one.number for one in [*exact, *alike]), None)


def _ends(number: int, graph: Graph) -> str:
    edge = graph.edges[number]
    return f"from '{graph.nodes[edge.source]}' to '{graph.nodes[edge.target]}'"

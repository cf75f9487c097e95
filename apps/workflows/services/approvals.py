"""Deciding what a run asks people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.common.errors import Conflict, ErrorItem, Invalid, PermissionDenied
from apps.common.json import JSON, pointer_to
from apps.common.schema_parts import properties, required
from apps.workflows.engine import schemas
from apps.workflows.engine.compiler import Compiled
from apps.workflows.engine.errors import LoopLimitError
from apps.workflows.engine.graph import GraphEdge
from apps.workflows.engine.marking import Marking, permitted
from apps.workflows.engine.spec import Node
from apps.workflows.models import Approval
from apps.workflows.nodes.inline import decided
from apps.workflows.nodes.registry import INLINE
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.transition import again, degrading, people
from apps.workflows.services.transition.transition import Transition

SEND_BACK = "send_back"
DECISIONS = {
    "approve": Approval.Status.APPROVED,
    "reject": Approval.Status.REJECTED,
    SEND_BACK: Approval.Status.SENT_BACK,
}


def decide_approval(approval: Approval, *, decision: str, data: dict[str, JSON], comment: str, by: str) -> None:
    """Records a decision and lets the run go on, in one transaction; the first decision counts.

    Raises PermissionDenied for somebody who was not asked, Invalid for data that does not fit the form or for sending
    back without a word, and Conflict when it has been decided already, saying by whom, or cannot be sent back.
    """
    _check_assignee(approval, by)
    check_form(approval, decision, data)
    _check_comment(decision, comment)

    def act(transition: Transition) -> None:
        status = DECISIONS[decision].value
        closed = people.close(transition.tx, approval.pk, status=status, data=data, comment=comment, by=by)
        if not closed:
            raise _decided_before(approval.pk)
        transition.read([approval.node_run_id])
        row = transition.rows[approval.node_run_id]
        if degrading.is_with_person(row.state):
            transition.bring(row, degrading.answered(decision, data, comment, by))
            transition.work_in()
            return
        if row.handler not in INLINE:
            again.go_on(transition, row, decision=decision, comment=comment, by=by)
            return
        if decision == SEND_BACK and not _ways_back(transition.compiled, transition.marking, row.node):
            raise _no_way_back(row.node)
        transition.bring(row, decided(decision, data, comment, by))
        transition.work_in()

    act_on_run(approval.run_id, act)


@dataclass(frozen=True, slots=True)
class Following:
    """A node that a decision leads to."""

    name: str
    spec: Node
    is_certain: bool  # or only if a condition holds


def what_follows(approval: Approval) -> Mapping[str, list[Following]]:
    """For each decision the nodes that the run would go on with; none for a question inside a map."""
    compiled = compiled_version(approval.run.version_id)
    if is_of_call(approval):
        node = compiled.node(approval.node_run.node)
        return {decision: [Following(node.name, node.spec, is_certain=True)] for decision in offered(approval)}
    if is_for_answer(approval):
        return {decision: _after_answer(compiled, approval, decision) for decision in offered(approval)}
    edges = _edges_after(compiled, approval.node_run.node)
    return {
        decision: [
            Following(compiled.nodes[edge.target].name, compiled.nodes[edge.target].spec, edge.when is None)
            for edge in edges
            if _may_be_taken(edge, decision)
        ]
        for decision in offered(approval)
    }


def offered(approval: Approval) -> Sequence[str]:
    """The decisions that there are: sending back only where an edge with that route leads on, and is not used up."""
    if is_of_call(approval) or is_for_answer(approval):
        return [decision for decision in DECISIONS if decision != SEND_BACK]
    compiled, marking = compiled_version(approval.run.version_id), Marking.from_json(approval.run.marking)
    can_go_back = _ways_back(compiled, marking, approval.node_run.node)
    return [decision for decision in DECISIONS if decision != SEND_BACK or can_go_back]


def is_of_call(approval: Approval) -> bool:
    """Tell whether an agent asks for leave to make a call, and goes on with its work afterwards."""
    return approval.node_run.handler not in INLINE and not is_for_answer(approval)


def is_for_answer(approval: Approval) -> bool:
    """Tell whether a person is asked for the answer that an agent could not give."""
    return degrading.is_with_person(approval.node_run.state)


def step_behind(approval: Approval) -> str:
    """Give who would answer where this person does not; nothing where the node fails then."""
    compiled = compiled_version(approval.run.version_id)
    return degrading.step_behind(compiled.node(approval.node_run.node), approval.node_run.state)


def may_decide(approval: Approval, username: str) -> bool:
    """Tell whether the question is for this person to decide, if their role lets them decide at all."""
    return not approval.assignees or username in approval.assignees


def check_form(approval: Approval, decision: str, data: dict[str, JSON]) -> None:
    """Raise Invalid, with every fault at its field, where an approval does not come with what the form asks for."""
    if approval.form is None or decision != "approve":
        return
    faults = list(_faults(data, approval.form))
    if faults:
        raise Invalid(
            f"The data does not fit the form. {faults[0].pointer}: {faults[0].message}",
            code="invalid_form",
            errors=faults,
        )


def _faults(data: dict[str, JSON], form: dict[str, Any]) -> Iterator[ErrorItem]:
    """What is wrong, at fields: what is missing at each that was left out, and that all are empty at the first one."""
    for name in sorted(required(form) - data.keys()):
        yield ErrorItem(pointer_to("data", name), "required", "Fill this in.")
    for issue in schemas.check(data, form, "/data"):
        if issue.pointer != "/data" or issue.code not in ("required", "minProperties"):
            yield ErrorItem(issue.pointer, issue.code, issue.message, issue.fix)
        elif issue.code == "minProperties":
            first = next(iter(properties(form, form)), "")
            yield ErrorItem(pointer_to("data", first), issue.code, "Fill in at least one of these.")


def _after_answer(compiled: Compiled, approval: Approval, decision: str) -> list[Following]:
    """Where an answer leads, or that there is none."""
    wanted = ("success", "always") if decision == "approve" else ("error", "always")
    edges = [edge for edge in _edges_after(compiled, approval.node_run.node) if edge.on in wanted]
    targets = [(compiled.nodes[edge.target], edge.when is None and edge.route is None) for edge in edges]
    return [Following(target.name, target.spec, is_certain) for target, is_certain in targets]


def _edges_after(compiled: Compiled, node: str) -> Sequence[GraphEdge]:
    """The edges of a node; none for one inside a map."""
    place = compiled.graph.position.get(node)
    return [] if place is None else compiled.graph.outgoing[place]


def _ways_back(compiled: Compiled, marking: Marking, node: str) -> bool:
    routed = [edge for edge in _edges_after(compiled, node) if edge.route == SEND_BACK and edge.on != "error"]
    return any(_is_permitted(compiled, marking, edge) for edge in routed)


def _is_permitted(compiled: Compiled, marking: Marking, edge: GraphEdge) -> bool:
    try:
        return bool(permitted(compiled.graph, marking, [edge.number]))
    except LoopLimitError:
        return False


def _may_be_taken(edge: GraphEdge, decision: str) -> bool:
    if edge.on == "error" or edge.route not in {None, decision}:
        return False
    # After a refusal an edge that asks nothing is not taken.
    return decision == "approve" or edge.route is not None or edge.when is not None or edge.on == "always"


def _check_assignee(approval: Approval, by: str) -> None:
    kind, _, name = by.partition(":")
    is_for_people = kind == "user" or is_of_call(approval)  # a program of ours may go on for people, but gives no leave
    if is_for_people and not may_decide(approval, name):
        raise PermissionDenied(f"This is for {', '.join(approval.assignees)} to decide.", code="not_an_assignee")


def _check_comment(decision: str, comment: str) -> None:
    if decision == SEND_BACK and not comment.strip():
        message = "Say what should be different: it is what the run goes back with."
        fault = ErrorItem("/comment", "required", message, "Send a comment.")
        raise Invalid(message, code="comment_required", errors=[fault])


def _no_way_back(node: str) -> Conflict:
    return Conflict(
        f"This cannot be sent back: no edge from '{node}' has the route '{SEND_BACK}', or it was taken as often as its "
        "'max' allows. Approve or reject it.",
        code="no_way_back",
    )


def _decided_before(approval: UUID) -> Conflict:
    current = Approval.objects.get(pk=approval)
    if current.decided_at is None:
        return Conflict(f"The question is {current.status}; it cannot be decided any more.", code="approval_closed")
    when = current.decided_at.isoformat(timespec="seconds")
    return Conflict(
        f"Already {current.get_status_display().lower()} by {current.decided_by} at {when}.", code="already_decided"
    )

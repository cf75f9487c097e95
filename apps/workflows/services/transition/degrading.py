"""Going on with the next step of a node's `degrade`: decided once, in the transaction that ends the step before.

What was decided stands in the node run's state as `degraded`, so whoever claims it next takes that very step:
`stage` is its place, `step` and `name` say what it is, `passed` what came of those before it, and `by` who gave the
answer in the end.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from apps.workflows.engine.compiler import CompiledNode
from apps.workflows.engine.degrading import (
    NOT_FOR_OTHERS,
    UNAVAILABLE,
    AskedPerson,
    asked_person,
    following,
    in_words,
    kind_of,
    label,
    name_of,
)
from apps.workflows.engine.spec import AgentNode
from apps.workflows.engine.states import NodeStatus
from apps.workflows.nodes.answer_form import answer_form
from apps.workflows.nodes.base import ApprovalRequest, Completed, Failed, NodeError, Waiting
from apps.workflows.services.transition import again, starting
from apps.workflows.store.rows import NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition

MOST_LETTERS = 500  # of why a step was passed


def next_stage(transition: "Transition", row: NodeRow, error: NodeError) -> int | None:
    """The step that follows this failure, counted from 0; None where the node has none left."""
    spec = transition.node_of(row).spec
    if row.input is None or not isinstance(spec, AgentNode) or not spec.degrade:
        return None
    return following(_stage(row), len(spec.degrade), code=error.code)


def is_final(row: NodeRow, error: NodeError, stage: int | None) -> bool:
    """Whether it is not tried again, whatever the retry policy says; `stage` is the step that follows, if one does."""
    if _stage(row) is None:
        return stage is not None and error.code in UNAVAILABLE
    return error.code in UNAVAILABLE or not error.deferred


def go_on(transition: "Transition", row: NodeRow, error: NodeError, stage: int) -> None:
    """Takes a step: a worker does, or a person is asked."""
    spec = transition.node_of(row).spec
    assert isinstance(spec, AgentNode)  # noqa: S101 - for the type checker: `next_stage` has seen it
    step = (spec.degrade or [])[stage]
    again.end_attempt(transition, row, error)
    facts = {"stage": stage, "step": kind_of(step), "name": name_of(step)}
    row.state["degraded"] = {**facts, "passed": [*_passed(row), _why(row, error)]}
    row.waiting_for, row.worker, row.deadline_at, row.lost_count = "", None, None, 0
    row.state.pop("child", None)
    row.state.pop("task", None)  # who works on it next has a task of its own
    transition.tell("node.degraded", row, **facts, error=error.as_json())
    if kind_of(step) == "person":
        row.status = NodeStatus.QUEUED
        transition.bring(row, _question(transition, row, spec, asked_person(step)))
    else:
        starting.queue(transition, row)


def exhausted(row: NodeRow, error: NodeError) -> NodeError:
    """The error of a node none of whose steps gave an answer: that of its own agent, with all that was tried."""
    if _stage(row) is None or error.code in NOT_FOR_OTHERS:
        return error
    first, *others = tried = [*_passed(row), _why(row, error)]
    told = " ".join(f"{one['step']}: {one['message']}" for one in others)
    message = f"{first['message']} No step of 'degrade' gave an answer. {told}"
    return NodeError(str(first["code"]), message, details={"degraded": tried})


def is_with_person(state: Mapping[str, Any]) -> bool:
    """Whether a person has been asked for the answer of a node run."""
    return (state.get("degraded") or {}).get("step") == "person"


def step_behind(node: CompiledNode, state: Mapping[str, Any]) -> str:
    """Who would answer behind the step that a node run, of a visit or of an item, has come to; or nothing."""
    spec = node.body.spec if node.body else node.spec
    steps = (spec.degrade or []) if isinstance(spec, AgentNode) else []
    behind = steps[state["degraded"]["stage"] + 1 :]
    return in_words(kind_of(behind[0]), name_of(behind[0])) if behind else ""


def answered(decision: str, data: dict[str, Any], comment: str, by: str) -> Completed | Failed:
    """What a person's decision comes to: what they filled in is what the node gives."""
    if decision == "approve":
        return Completed(data, by={"person": by})
    message = f"{by} gives no answer{f': {comment}' if comment else '.'}"
    return Failed(NodeError("person_refused", message))


def unanswered() -> Failed:
    """The failure of a question whose time is over."""
    return Failed(NodeError("timeout", "Nobody answered in time."))


def _stage(row: NodeRow) -> int | None:
    stage: int | None = (row.state.get("degraded") or {}).get("stage")
    return stage


def _passed(row: NodeRow) -> list[dict[str, Any]]:
    passed: list[dict[str, Any]] = (row.state.get("degraded") or {}).get("passed", [])
    return passed


def _why(row: NodeRow, error: NodeError) -> dict[str, Any]:
    known = row.state.get("degraded") or {"step": "own agent"}
    step = label(known["step"], known.get("name", ""))
    return {"step": step, "code": error.code, "message": error.message[:MOST_LETTERS]}


def _question(transition: "Transition", row: NodeRow, spec: AgentNode, asked: AskedPerson) -> Waiting:
    who = f"The agent '{spec.agent}' gives no" if spec.agent else f"Nobody who can do '{spec.capability}' gives an"
    reason = _passed(row)[0]["message"]
    (given,) = transition.packer.unpack(transition.tx, [row.input])
    request = ApprovalRequest(
        message=asked.message or f"{who} answer: {reason} What is it?",
        assignees=asked.names,
        form=asked.form or answer_form(spec, row.organization_id),
        on_timeout="fail",
        payload=given,
    )
    return Waiting("approval", due_in=asked.timeout, request=request)

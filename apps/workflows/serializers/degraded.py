"""Answers that were not given as they should have been: which step of `degrade` gave them, and why."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from apps.workflows import selectors
from apps.workflows.engine.degrading import in_words
from apps.workflows.engine.states import NodeStatus
from apps.workflows.models import Approval, NodeRun, Run
from apps.workflows.services.approvals import is_for_answer
from apps.workflows.services.compiled import compiled_version


class PassedStep(BaseModel):
    """A step that gave no answer; `own agent` is what came before all steps."""

    step: str
    code: str
    message: str


class Degraded(BaseModel):
    """The step that a node run has come to, and who gave the answer once there is one."""

    step: str
    name: str
    passed: list[PassedStep]
    by: dict[str, str] | None


class DegradedNode(Degraded):
    """The same, with the node run that it is about."""

    node: str
    visit: int
    index: int | None


def degraded_of(node: NodeRun) -> Degraded | None:
    """The step of a node run; None where its own agent works on it, or has answered."""
    facts = _facts(node.state)
    return Degraded.model_validate(facts) if facts else None


def degraded_nodes(run: Run) -> list[DegradedNode]:
    """The node runs whose answer is a degraded one, in order."""
    if not run.forked_from_id and not compiled_version(run.version_id).degrades:
        return []  # a fork may have taken over what another version gave
    return [
        DegradedNode(
            node=node.node, visit=node.visit, index=node.index if node.index >= 0 else None, **_facts(node.state)
        )
        for node in selectors.degraded_node_runs(run)
    ]


def passed_steps(node: NodeRun) -> list[PassedStep]:
    """What gave no answer so far, or in the end: the node's own agent first, then its steps."""
    details = node.error.get("details") if isinstance(node.error, dict) else None
    ended = details.get("degraded") if isinstance(details, dict) else None
    passed = ended if node.status == NodeStatus.FAILED else _facts(node.state).get("passed")
    return [PassedStep.model_validate(one) for one in passed or ()]


def in_a_sentence(degraded: Degraded, *, with_reason: bool = True) -> str:
    """Who answered instead of whom, and why."""
    who = in_words(degraded.step, degraded.name)
    by = degraded.by or {}
    named = by.get("agent") if degraded.step == "other_agent" else by.get("person")
    if degraded.step == "cached" and "run" in by:
        named = f"of the run {by['run']}"
    answer = "Degraded: answered by" if degraded.by is not None else "Degraded: it goes on with"
    reason = f" Its own agent: {degraded.passed[0].message}" if with_reason else ""
    return f"{answer} {who}{f' ({named})' if named else ''}.{reason}"


def failure_behind(approval: Approval) -> str:
    """Why a person is asked for an agent's answer; nothing where none failed, or the question says so itself."""
    degraded = degraded_of(approval.node_run) if is_for_answer(approval) else None
    reason = degraded.passed[0].message if degraded else ""
    return "" if reason in approval.message else f"The agent failed: {reason}"


def in_sentences(run: Run) -> dict[str, str]:
    """The degraded answers of a run by node, for programs that pass on what they read."""
    return {one.node: in_a_sentence(one) for one in degraded_nodes(run)}


def _facts(state: Mapping[str, Any]) -> dict[str, Any]:
    known = state.get("degraded")
    if not known:
        return {}
    return {"step": known["step"], "name": known["name"], "passed": known["passed"], "by": known.get("by")}

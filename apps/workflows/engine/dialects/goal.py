"""`type` with `query` or `input`: a goal, for which each type has a ready plan."""

from typing import Any

from apps.workflows.engine.dialects.translation import Translation, parsed, stop_on, unknown, without_empty
from apps.workflows.engine.errors import DefinitionError, Issue, pointer
from apps.workflows.engine.parts import Part
from apps.workflows.engine.spec import Name

_RESEARCH = {
    "background": "Background and key terms of: {{ inputs.query }}",
    "developments": "Recent developments in: {{ inputs.query }}",
    "questions": "Open questions and criticism about: {{ inputs.query }}",
}

# What each type of goal asks for, and the plan that is run for it.
PLANS: dict[str, dict[str, Any]] = {
    "simple": {
        "needs": [],
        "nodes": {"answer": {"type": "agent", "agent": "echo", "input": "{{ inputs }}"}},
    },
    "research_and_analyze": {
        "needs": ["query"],
        "nodes": {
            **{
                name: {"type": "agent", "agent": "researcher", "input": {"task": task}}
                for name, task in _RESEARCH.items()
            },
            "analysis": {
                "type": "agent",
                "agent": "analyst",
                "needs": list(_RESEARCH),
                "input": {
                    "task": "Analyse what was found about: {{ inputs.query }}",
                    "context": {name: f"{{{{ nodes.{name}.output }}}}" for name in _RESEARCH},
                },
            },
            "summary": {
                "type": "agent",
                "agent": "text_processor",
                "needs": ["analysis"],
                "input": {"task_type": "text_summary", "text": "{{ json(nodes.analysis.output) }}"},
            },
        },
        "outputs": {
            "query": "{{ inputs.query }}",
            "findings": {name: f"{{{{ nodes.{name}.output }}}}" for name in _RESEARCH},
            "analysis": "{{ nodes.analysis.output }}",
            "summary": "{{ nodes.summary.output }}",
        },
    },
}


class Goal(Part):
    """The document."""

    type: Name
    query: str | None = None
    input: Any = None
    name: Name | None = None
    description: str | None = None
    priority: int | str | None = None
    constraints: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


def translate(document: dict[str, Any]) -> Translation:
    """The canonical document: the plan for the goal's type, with the goal as its inputs' defaults."""
    goal = parsed(Goal, document)
    plan = PLANS.get(goal.type)
    if plan is None:
        raise DefinitionError([unknown("/type", "type of goal", goal.type, PLANS)])
    given = _given(goal)
    missing = [name for name in plan["needs"] if name not in given]
    stop_on([Issue(pointer(name), "missing", f"A goal of type {goal.type} has a '{name}'.") for name in missing])
    kept = {"priority": goal.priority, "constraints": goal.constraints}
    made = {
        "name": goal.name or goal.type.replace("_", " "),
        "description": goal.description or goal.query,
        "inputs": {"type": "object", "properties": {name: {"default": value} for name, value in given.items()}},
        "nodes": plan["nodes"],
        "outputs": plan.get("outputs"),
        "metadata": (goal.metadata or {}) | without_empty({"goal": without_empty(kept)}),
    }
    origins = {pointer("inputs", "properties", name): _origin(goal, name) for name in given}
    return Translation(document, without_empty(made), origins)


def _given(goal: Goal) -> dict[str, Any]:
    """The run's input: the fields of `input`, and the query."""
    fields = goal.input if isinstance(goal.input, dict) else {"input": goal.input} if goal.input is not None else {}
    return fields if goal.query is None else {**fields, "query": goal.query}


def _origin(goal: Goal, name: str) -> str:
    return pointer("input", name) if isinstance(goal.input, dict) and name in goal.input else pointer(name)

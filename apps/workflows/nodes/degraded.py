"""What a worker does for a step of an agent node's `degrade`; a person is asked without one."""

from typing import Any

from apps.agents.registry import AgentType
from apps.agents.runtime import Result, run_agent
from apps.agents.services import selection, stand_ins
from apps.common.errors import Fatal
from apps.common.json import JSON
from apps.workflows.engine.degrading import kind_of, name_of, oldest
from apps.workflows.engine.spec import AgentNode
from apps.workflows.nodes.base import Completed, NodeContext

FIRST_PLACE = 1_000  # in which steps and calls are numbered: behind every agent that was chosen before


def take_step(spec: AgentNode, stage: int, task: JSON, ctx: NodeContext) -> Completed:
    """The answer of a step; raises what whoever works on it raises, and Fatal where nobody does."""
    step = (spec.degrade or [])[stage]
    kind = kind_of(step)
    if kind == "model":
        return _with_model(spec, name_of(step), task, ctx)
    ctx.hand_over(FIRST_PLACE + stage)
    if kind == "cached":
        return _answered_before(ctx, oldest(step))
    if kind == "agent":
        return _by_agent(spec, name_of(step), task, ctx)
    return _by_another(spec, task, ctx)


def _with_model(spec: AgentNode, model: str, task: JSON, ctx: NodeContext) -> Completed:
    """The same agent, from its first call without a result on; what it has done is not done again."""
    agent = stand_ins.first_agent(spec.agent, spec.capability, task, ctx)
    if agent.kind == "remote":
        raise Fatal(f"'{agent.name}' is an agent outside and asks models of its own.", code="no_model_to_change")
    ctx.asks_instead = model
    result = run_agent(agent, _addressed(spec, agent, task), ctx, config=spec.config)
    return _completed(result, agent=agent.name, model=model)


def _by_agent(spec: AgentNode, name: str, task: JSON, ctx: NodeContext) -> Completed:
    agent = stand_ins.named(name, ctx)
    return _completed(run_agent(agent, _addressed(spec, agent, task), ctx), agent=name)


def _by_another(spec: AgentNode, task: JSON, ctx: NodeContext) -> Completed:
    other = stand_ins.choose_other(spec.agent, spec.capability, task, ctx)
    if spec.capability is not None:
        result = selection.run_measured(other, spec.capability, task, ctx, config=spec.config)
    else:
        result = run_agent(other, task, ctx)  # what is set for a named agent says nothing to another
    return _completed(result, agent=other.name)


def _answered_before(ctx: NodeContext, seconds: float | None) -> Completed:
    def look() -> JSON:
        found = ctx.last_answer(seconds)
        if found is None:
            raise Fatal("This node has no earlier good answer to this input.", code="no_cached_answer")
        return found

    found: Any = ctx.step("degrade:cached", look)
    return Completed(found["output"], by={"run": found["run"], "at": found["at"]})


def _addressed(spec: AgentNode, agent: AgentType, task: JSON) -> JSON:
    return agent.addressed(task, spec.capability) if spec.capability else task


def _completed(result: Result, **by: str) -> Completed:
    return Completed(result.output, result.route, by=by)

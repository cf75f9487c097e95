"""Running one agent once: Input in, prep -> exec -> post, Output out."""

import inspect
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from apps.agents import registry
from apps.agents.context import Context
from apps.agents.registry import AgentType
from apps.agents.sdk import Agent, Route
from apps.common.asyncio_loop import run_coroutine
from apps.common.database import on_thread, release_connection
from apps.common.errors import Fatal
from apps.common.json import JSON
from apps.common.validation import describe_failure, invalid_input


@dataclass(frozen=True)
class Result:
    """What an agent gave: its output as JSON, and the route it chose, if any."""

    output: JSON
    route: str | None = None


def run_agent(
    agent: str | AgentType,
    input: JSON,  # noqa: A002
    ctx: Context,
    *,
    config: dict[str, Any] | None = None,
) -> Result:
    """Run an agent, named as the organization of the context knows it, and gives its Result.

    Raises NotFound for an unknown name, InvalidInput (a Fatal) for config or input that does not fit, Fatal
    `invalid_output` for a result that does not, Cancelled, and whatever the agent raises. Sync methods run in the
    calling thread, async ones on the process-wide loop; time limits are the caller's.
    """
    agent_type = _named(agent, ctx) if isinstance(agent, str) else agent
    made = agent_type.make(check_config(agent_type, config))
    if not ctx.agent:  # the node's own, and not one that another asks
        ctx.may_leave = ctx.can_be_left and agent_type.kind == "remote"
    has_it = ctx.may_leave and ctx.left_task is not None  # then the answer counts, whatever the agent takes by now
    task = input if has_it else check_task(agent_type, input)
    outer, ctx.agent = ctx.agent, agent_type.name
    try:
        return _result(agent_type, _live(made, task, ctx))
    finally:
        ctx.agent = outer


def _named(name: str, ctx: Context) -> AgentType:
    if not ctx.has_organization:
        return registry.get(name)
    try:
        return registry.get_for(ctx.organization_id, name)
    finally:
        release_connection()  # the agent may take its time, and there are fewer connections than agents at work


async def arun_agent(agent: str | AgentType, input: JSON, ctx: Context) -> Result:  # noqa: A002
    """Do what `run_agent` does, for async code."""
    return await on_thread(run_agent, agent, input, ctx)


def check_config(agent_type: AgentType, config: dict[str, Any] | None) -> Any:
    """Give the config as the agent's Config, or raise InvalidInput."""
    return _checked(agent_type.config, config or {}, f"agent '{agent_type.name}' (config)")


def check_task(agent_type: AgentType, task: JSON) -> Any:
    """Give the task as the agent's Input, or raise InvalidInput."""
    return _checked(agent_type.input, task, f"agent '{agent_type.name}'")


def _live(agent: Agent, task: Any, ctx: Context) -> Any:
    task = _finished(agent.prep(task, ctx), ctx)
    output = _finished(agent.exec(task, ctx), ctx)
    return _finished(agent.post(task, output, ctx), ctx)


def _finished(value: Any, ctx: Context) -> Any:
    if inspect.iscoroutine(value):
        return run_coroutine(value, cancelled=lambda: ctx.cancelled)
    return value


def _checked(adapter: TypeAdapter[Any], given: Any, subject: str) -> Any:
    try:
        return adapter.validate_python(given)
    except ValidationError as error:
        raise invalid_input(subject, error) from None


def _result(agent_type: AgentType, returned: Any) -> Result:
    if isinstance(returned, Route):
        return Result({} if returned.output is None else checked_output(agent_type, returned.output), returned.name)
    output = checked_output(agent_type, returned)
    route = output.get("route") if isinstance(output, dict) else None
    return Result(output, route if isinstance(route, str) else None)


def checked_output(agent_type: AgentType, returned: Any) -> JSON:
    """Give what an agent returned as JSON; raise Fatal `invalid_output` for what does not fit its Output."""
    try:
        if agent_type.agent.Output is Agent.Output and not agent_type.output_schema:
            return to_jsonable_python(returned)  # anything with a JSON form: models, dates and UUIDs too
        checked = agent_type.output.validate_python(returned)
        output: JSON = agent_type.output.dump_python(checked, mode="json", by_alias=True)
    except (ValidationError, PydanticSerializationError) as error:
        subject = f"The output of agent '{agent_type.name}' is invalid"
        raise Fatal(describe_failure(subject, error), code="invalid_output") from None
    return output

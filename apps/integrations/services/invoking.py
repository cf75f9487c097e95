"""Calling a tool: checked going in, bounded while it runs, checked coming out."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from apps.common.asyncio_loop import run_coroutine
from apps.common.database import release_connection
from apps.common.errors import Fatal, Retryable
from apps.common.json import JSON
from apps.integrations import registry
from apps.integrations.tools import Tool, ToolContext


def invoke(name: str, input: JSON, ctx: ToolContext, *, timeout: float | None = None) -> JSON:  # noqa: A002
    """Call a tool and gives its result as JSON.

    1. The input is checked against the tool's schema: Fatal `invalid_input` names the field.
    2. A sync tool runs in the calling thread; an async one on the process-wide loop, where `ctx.cancelled` and
       the tool's timeout (or the shorter `timeout`) end it: Cancelled, Retryable `timeout`.
    3. The result is checked against the output schema: Fatal `invalid_output`.
    """
    tool = registry.get(name, ctx.organization_id)
    arguments = _arguments(tool, input, ctx)
    return tool.result(_called(tool, tool.function, arguments, _seconds(tool, timeout), ctx))


def look_up(name: str, input: JSON, ctx: ToolContext) -> JSON:  # noqa: A002
    """Ask the other side what became of a call, and give the result that it had; raise DidNotHappen for none.

    Whatever else is raised says that nobody knows still. It is bounded and checked like the call itself.
    """
    tool = registry.get(name, ctx.organization_id)
    if tool.lookup is None:
        raise Fatal(f"Tool '{name}' has no lookup.", code="no_lookup")
    wanted = inspect.signature(tool.lookup).parameters
    arguments = {key: value for key, value in {**tool.arguments(input), "ctx": ctx}.items() if key in wanted}
    return tool.result(_called(tool, tool.lookup, arguments, tool.timeout, ctx))


async def ainvoke(name: str, input: JSON, ctx: ToolContext, *, timeout: float | None = None) -> JSON:  # noqa: A002, ASYNC109
    """Do what `invoke` does, awaited; a sync tool then runs in a thread beside the loop."""
    tool = await registry.aget(name, ctx.organization_id)
    arguments = _arguments(tool, input, ctx)
    if not tool.is_async:
        return tool.result(await asyncio.to_thread(_on_a_thread, tool, arguments))
    seconds = _seconds(tool, timeout)
    try:
        async with asyncio.timeout(seconds):
            value = await tool.function(**arguments)
    except TimeoutError:
        raise _too_slow(tool, seconds) from None
    return tool.result(value)


def _called(
    tool: Tool, function: Callable[..., Any], arguments: dict[str, Any], seconds: float, ctx: ToolContext
) -> Any:
    if not inspect.iscoroutinefunction(function):
        return function(**arguments)
    try:
        return run_coroutine(function(**arguments), seconds, ctx.cancelled)
    except TimeoutError:
        raise _too_slow(tool, seconds) from None


def _arguments(tool: Tool, given: JSON, ctx: ToolContext) -> dict[str, Any]:
    arguments = tool.arguments(given)
    return {**arguments, "ctx": ctx} if tool.wants_context else arguments


def _on_a_thread(tool: Tool, arguments: dict[str, Any]) -> Any:
    try:
        return tool.function(**arguments)
    finally:
        release_connection()  # the executor's threads live on; a connection kept there is lost to the pool


def _seconds(tool: Tool, timeout: float | None) -> float:
    return tool.timeout if timeout is None else min(timeout, tool.timeout)


def _too_slow(tool: Tool, seconds: float) -> Retryable:
    return Retryable(f"Tool '{tool.name}' gave no result within {seconds:g} s.", code="timeout", in_doubt=True)

"""Workflows as tools of an MCP server. Every request stands for itself, so that any process answers it.

Imports the SDK: only to be imported at the first request.
"""

from typing import Any, cast

from django.conf import settings
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from apps.accounts.access import Access
from apps.accounts.asgi_gate import ACCESS, Receive, Scope, Send, behind_gate, refuse
from apps.common import json
from apps.common.errors import DomainError, NotFound
from apps.common.json import JSON
from apps.common.problems import MethodNotAllowed
from apps.workflows import selectors
from apps.workflows.engine.states import RUN_ENDED, RunStatus
from apps.workflows.models import OfferedWorkflow, Run, WorkflowVersion
from apps.workflows.protocols.runs import (
    events_until,
    for_organization,
    in_words,
    open_question,
    output_of,
    start_once,
)
from apps.workflows.serializers.degraded import in_sentences
from apps.workflows.services import versions
from apps.workflows.services.compiled import compiled_version

WAIT_SECONDS = 45.0  # for the end of a run; most clients wait a minute for an answer
PAGE = 100  # tools
KEY_FIELD = "orchestra.idempotencyKey"  # in `_meta`; the same call with the same key is the same run
GET_RUN = "get_run"

RUN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "run_id": {"type": "string"},
        "status": {"type": "string", "enum": [str(status) for status in RunStatus]},
        "output": {"description": "What the run has given, once it has completed."},
        "error": {"description": "Why it failed."},
        "hint": {"type": "string", "description": "What to do next, while it has not ended."},
        "url": {"type": "string", "description": "Where a person sees it."},
    },
    "required": ["run_id", "status"],
}
GET_RUN_TOOL = Tool(
    name=GET_RUN,
    description="Tells how a run that was started earlier is doing, and what it has given once it has ended.",
    input_schema={
        "type": "object",
        "properties": {
            "run_id": {"type": "string", "description": "As the tool that started it has said."},
            "wait_seconds": {"type": "number", "minimum": 0, "maximum": WAIT_SECONDS, "default": 0},
        },
        "required": ["run_id"],
        "additionalProperties": False,
    },
    output_schema=RUN_SCHEMA,
    annotations=ToolAnnotations(read_only_hint=True),
)


async def _list_tools(ctx: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
    after = (params.cursor if params else None) or ""
    found = await for_organization(_access(ctx), _page_of_tools, after)
    cursor = found[PAGE - 1].name if len(found) > PAGE else None
    shown = found[:PAGE]
    return ListToolsResult(tools=shown if cursor else [*shown, GET_RUN_TOOL], next_cursor=cursor)


async def _call_tool(ctx: Any, params: CallToolRequestParams) -> CallToolResult:
    access, given = _access(ctx), cast("dict[str, JSON]", dict(params.arguments or {}))
    try:
        if params.name == GET_RUN:
            return await _get_run(ctx, access, given)
        run = await for_organization(access, _start, access, params.name, given, _key(ctx))
        return await _waited(ctx, access, run, WAIT_SECONDS)
    except NotFound as missing:
        if missing.code != "unknown_tool":
            return _refused(missing)
        raise MCPError(INVALID_PARAMS, missing.detail) from None
    except DomainError as refused:
        return _refused(refused)


def _page_of_tools(after: str) -> list[Tool]:
    return [_tool(offer) for offer in selectors.offers().filter(name__gt=after)[: PAGE + 1]]


def _tool(offer: OfferedWorkflow) -> Tool:
    workflow = offer.workflow
    return Tool(
        name=offer.name,
        title=workflow.title or workflow.name,
        description=workflow.description or f"Runs the workflow '{workflow.title or workflow.name}'.",
        input_schema={**(_definition(offer).inputs or {}), "type": "object"},
        output_schema=RUN_SCHEMA,
    )


def _definition(offer: OfferedWorkflow) -> Any:
    return compiled_version(_version(offer).pk).definition


def _version(offer: OfferedWorkflow) -> WorkflowVersion:
    return versions.find_version(offer.workflow, offer.workflow.published_version)


def _start(access: Access, name: str, given: dict[str, JSON], key: str | None) -> Any:
    offer = selectors.offers().filter(name=name).first()
    if offer is None:
        raise NotFound(f"There is no tool '{name[:80]}'.", code="unknown_tool")
    return start_once(access, lambda: _version(offer), given, trigger="mcp", name=name, key=key)


async def _get_run(ctx: Any, access: Access, given: dict[str, JSON]) -> CallToolResult:
    run = await for_organization(access, selectors.find_run, str(given.get("run_id", "")))
    seconds = given.get("wait_seconds", 0)
    if not isinstance(seconds, int | float) or not 0 <= seconds <= WAIT_SECONDS:
        raise MCPError(INVALID_PARAMS, f"'wait_seconds' is a number from 0 to {WAIT_SECONDS:g}.")
    return await _waited(ctx, access, run.pk, seconds)


async def _waited(ctx: Any, access: Access, run: Any, seconds: float) -> CallToolResult:
    """How the run stands when it has ended or the time is over; whoever asked for progress is told on the way."""
    async for batch in events_until(run, seconds):
        if batch:
            last = batch[-1]
            await ctx.session.report_progress(float(last["seq"]), None, in_words(last))
    return await for_organization(access, _as_result, run)


def _as_result(identifier: Any) -> CallToolResult:
    run = selectors.find_run(identifier)
    shown: dict[str, JSON] = {
        "run_id": str(run.pk),
        "status": str(run.status),
        "url": f"{settings.ORCHESTRA_BASE_URL.rstrip('/')}/runs/{run.pk}",
    }
    if run.status == RunStatus.COMPLETED:
        shown["output"] = output_of(run)
        shown |= {"degraded": told} if (told := in_sentences(run)) else {}
    elif run.status in RUN_ENDED:
        shown["error"] = run.error or {"message": f"It was {run.status}."}
    else:
        shown["hint"] = _hint(run)
    is_error = run.status in RUN_ENDED and run.status != RunStatus.COMPLETED
    text = TextContent(text=json.dumps(shown).decode())
    return CallToolResult(content=[text], structured_content=shown, is_error=is_error)


def _hint(run: Run) -> str:
    question = open_question(run)
    if question is not None:
        return f"It waits until a person has answered: {question.message[:500]} Then ask {GET_RUN}."
    return f"It has not ended yet: ask {GET_RUN} with this run_id again, such as with wait_seconds 30."


def _refused(error: DomainError) -> CallToolResult:
    places = "".join(f"\n{item.pointer}: {item.message}" for item in error.errors)
    return CallToolResult(content=[TextContent(text=f"{error.detail} ({error.code}){places}")], is_error=True)


def _key(ctx: Any) -> str | None:
    given = (ctx.meta or {}).get(KEY_FIELD) or ctx.request.headers.get("idempotency-key")
    return str(given) if given else None


def _access(ctx: Any) -> Access:
    return cast("Access", ctx.request.scope[ACCESS])


server: Server[Any] = Server(
    "orchestra",
    title="Orchestra",
    instructions="Each tool runs a workflow. What takes longer than a call is asked for with get_run.",
    on_list_tools=_list_tools,
    on_call_tool=_call_tool,
)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    # One for each request, as it keeps nothing between two: there is nothing to start and to stop with the process.
    manager = StreamableHTTPSessionManager(server, stateless=True)
    async with manager.run():
        await manager.handle_request(scope, receive, send)


_guarded = behind_gate(_answer)
_other_methods = refuse(MethodNotAllowed("Only POST is answered here: no session is kept, and no stream."))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request of a client; there is no stream to open and no session to end, as none is kept."""
    if scope["method"] == "POST":
        await _guarded(scope, receive, send)
    else:
        await _other_methods(scope, receive, send)

"""Servers of the Model Context Protocol: adding one, seeing what it offers and has changed, ticking what may run."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.accounts.views.settings.sections import show
from apps.common.errors import Conflict, Invalid
from apps.common.schema_parts import table
from apps.integrations import selectors
from apps.integrations.models import McpServer, McpTool
from apps.integrations.services import mcp_servers
from apps.integrations.services.mcp_servers import Decision

STATES = {
    "new": "not looked at",
    "allowed": "allowed",
    "changed": "changed since it was approved",
    "gone": "not offered any more",
    "unusable": "cannot be used",
}
EFFECTS = [(McpTool.Effect.EXTERNAL_WRITE.value, "changes something"), (McpTool.Effect.READ.value, "reads only")]


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def servers(request: PageRequest) -> HttpResponse:
    """List the servers, or add one and ask it what it offers."""
    if request.method != "POST":
        return _list(request)
    request.access.require(Capability.MANAGE)
    name, url = request.POST.get("name", "").strip(), request.POST.get("url", "").strip()
    key = request.POST.get("key", "").strip()
    access = request.access
    try:
        added = mcp_servers.add_server(
            organization=access.organization, name=name, url=url, key=key, enabled=True, by=access.actor
        )
    except (Invalid, Conflict) as refused:
        return _list(request, refused=refused.detail, status=422)
    mcp_servers.refresh_server(added)
    return _to(added)


@require_safe
@page()
def server(request: PageRequest, ref: str) -> HttpResponse:
    """Show a server with its tools."""
    return _server(request, selectors.find_mcp_server(ref))


@require_POST
@page(Capability.MANAGE)
def refresh(request: PageRequest, ref: str) -> HttpResponse:
    """Ask the server anew what it offers."""
    shown = mcp_servers.refresh_server(selectors.find_mcp_server(ref))
    if not shown.problem:
        messages.success(request, "It has answered.")
    return _to(shown)


@require_POST
@page(Capability.MANAGE)
def tools(request: PageRequest, ref: str) -> HttpResponse:
    """Allow what is ticked and forbid what is not, as the person has seen it."""
    shown = selectors.find_mcp_server(ref)
    ticked = set(request.POST.getlist("allow"))
    rows = list(selectors.mcp_tools(shown))
    decisions = [_decision(request, row) for row in rows if str(row.pk) in ticked]
    decisions += [_forbidden(row) for row in rows if str(row.pk) not in ticked and row.state in {"allowed", "gone"}]
    try:
        mcp_servers.decide_tools(shown, decisions, by=request.access.actor)
    except (Invalid, Conflict) as refused:
        return _server(request, shown, refused=refused.detail, status=422)
    messages.success(request, "Saved.")
    return _to(shown)


@require_POST
@page(Capability.MANAGE)
def switch(request: PageRequest, ref: str) -> HttpResponse:
    """Switch the server on or off."""
    return _to(mcp_servers.change_server(selectors.find_mcp_server(ref), enabled=request.POST.get("enabled") == "true"))


@require_POST
@page(Capability.MANAGE)
def delete(request: PageRequest, ref: str) -> HttpResponse:
    """Delete the server."""
    gone = selectors.find_mcp_server(ref)
    mcp_servers.delete_server(gone)
    messages.success(request, f"{gone.name} was deleted.")
    return HttpResponseRedirect(reverse("settings_mcp"))


def _decision(request: PageRequest, row: McpTool) -> Decision:
    effect = request.POST.get(f"effect-{row.pk}", "")
    known = effect if effect in McpTool.Effect.values else McpTool.Effect.EXTERNAL_WRITE.value
    return Decision(row.name, allowed=True, digest=request.POST.get(f"digest-{row.pk}", ""), effect=known)


def _forbidden(row: McpTool) -> Decision:
    return Decision(row.name, allowed=False, digest="", effect=row.effect)


def _list(request: PageRequest, refused: str = "", status: int = 200) -> HttpResponse:
    context = {"servers": selectors.mcp_servers().order_by("name"), "refused": refused, "sent": request.POST}
    return show(request, "mcp", context, status)


def _server(request: PageRequest, shown: McpServer, refused: str = "", status: int = 200) -> HttpResponse:
    context = {
        "server": shown,
        "rows": [_row(row) for row in selectors.mcp_tools(shown)],
        "effects": EFFECTS,
        "refused": refused,
        "may_manage": request.access.can(Capability.MANAGE),
    }
    return render(request, "integrations/mcp_server.html", context, status=status)


def _row(row: McpTool) -> dict[str, object]:
    return {
        "tool": row,
        "word": STATES[row.state],
        "description": row.offered.get("description", ""),
        "takes": table(row.offered.get("input_schema", {})),
        "changes": mcp_servers.changes_of(row),
        "may_allow": row.state in {"new", "allowed", "changed"},
    }


def _to(shown: McpServer) -> HttpResponse:
    return HttpResponseRedirect(reverse("mcp_server", args=[shown.name]))

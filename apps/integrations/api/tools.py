"""Tools: what there is, calling one, and the built-in outbox."""

from typing import Any, get_args
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import HEADER, Answer, run_once
from apps.common.listing import BY_NAME, paginate_by_name
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, Parameter, choice
from apps.common.selectors import find_by_id
from apps.common.serializers import checked
from apps.common.transactions import allow_idle
from apps.integrations import registry, selectors
from apps.integrations.serializers.tools import (
    CallSerializer,
    InvokeSerializer,
    OutboxMessageSerializer,
    ToolSerializer,
    tool_json,
)
from apps.integrations.services.calls import call
from apps.integrations.tools import Effect, Tool


class ToolsView(OrganizationView):
    """The tools that workflows and agents can use."""

    query = {"GET": {**BY_NAME, "effect": choice(*get_args(Effect), description="What a call changes.")}}

    @extend_schema(responses={200: page_of(ToolSerializer)}, operation_id="list_tools")
    def get(self, request: Request) -> Response:
        """List the tools by name, with what they take and give."""
        effect = self.query_values["effect"]
        tools = (tool for tool in registry.all(self.access.organization.pk) if effect in {None, tool.effect})
        return paginate_by_name(tools, request, name=lambda tool: tool.name, serialize=tool_json)


class ToolView(OrganizationView):
    """One tool."""

    @extend_schema(responses={200: ToolSerializer}, operation_id="get_tool")
    def get(self, _request: Request, name: str) -> Response:
        """Show one tool with what it takes and gives."""
        return Response(tool_json(registry.get(name, self.access.organization.pk)))


class InvokeToolView(OrganizationView):
    """Calling one tool."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    @extend_schema(request=InvokeSerializer, responses={200: CallSerializer}, operation_id="invoke_tool")
    def post(self, request: Request, name: str) -> Response:
        """Call a tool and wait for the result, at most 60 seconds.

        A call that fails is an answer with the status `failed` and the reason; only a request that cannot be
        understood is an error.
        """
        tool = registry.get(name, self.access.organization.pk)
        asked = checked(InvokeSerializer, request)
        if HEADER not in request.headers:
            return Response(self._call(tool, asked, key=None)[1])
        return run_once(request, lambda: self._once(request, tool, asked))

    def _once(self, request: Request, tool: Tool, asked: dict[str, Any]) -> Answer:
        allow_idle(asked["timeout"] + 5)
        return self._call(tool, asked, key=f"{self.access.organization.pk}:{request.headers[HEADER]}")

    def _call(self, tool: Tool, asked: dict[str, Any], key: str | None) -> Answer:
        outcome = call(
            tool,
            asked.get("input"),
            organization_id=self.access.organization.pk,
            timeout=asked["timeout"],
            key=key,
            input_at="/input",
        )
        return 200, {**outcome.as_json(), "tool": tool.name}


def _run_id(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError("must be the full id of a run") from None


class OutboxView(OrganizationView):
    """The built-in mailbox."""

    query = {
        "GET": {**LISTING, "run_id": Parameter(_run_id, {"type": "string", "format": "uuid"}, "Only of this run.")}
    }

    @extend_schema(responses={200: page_of(OutboxMessageSerializer)}, operation_id="list_outbox")
    def get(self, request: Request) -> Response:
        """List the messages that `outbox.send` has sent, the newest first."""
        messages = selectors.outbox_messages(self.query_values["run_id"])
        return paginate(messages, request, serialize=lambda message: OutboxMessageSerializer(message).data)


class OutboxMessageView(OrganizationView):
    """One message."""

    @extend_schema(responses={200: OutboxMessageSerializer}, operation_id="get_outbox_message")
    def get(self, _request: Request, ref: str) -> Response:
        """Show one message."""
        return Response(OutboxMessageSerializer(find_by_id(selectors.outbox_messages(), ref)).data)

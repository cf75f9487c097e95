"""A2A agents: adding them and reading their cards."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import run_once
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING
from apps.common.serializers import checked
from apps.integrations import selectors
from apps.integrations.models import A2aAgent
from apps.integrations.serializers.a2a import (
    A2aAgentChangeSerializer,
    A2aAgentSerializer,
    AcceptedCardSerializer,
    NewA2aAgentSerializer,
    a2a_agent_json,
)
from apps.integrations.services import a2a_agents

SORTS = {"created_at": ("created_at", "id"), "name": ("name", "id")}


class A2aAgentsView(OrganizationView):
    """The organization's A2A agents."""

    capabilities = {"GET": "view", "POST": "manage"}
    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(A2aAgentSerializer)}, operation_id="list_a2a_agents")
    def get(self, request: Request) -> Response:
        """List the agents, the newest first."""
        return paginate(selectors.a2a_agents(), request, sorts=SORTS, serialize=a2a_agent_json)

    @extend_schema(request=NewA2aAgentSerializer, responses={201: A2aAgentSerializer}, operation_id="add_a2a_agent")
    def post(self, request: Request) -> Response:
        """Add an agent. Nothing is sent to it yet: refresh it, which reads its card, and accept that."""
        wanted = checked(NewA2aAgentSerializer, request)
        return run_once(request, lambda: (201, a2a_agent_json(self._add(wanted))))

    def _add(self, wanted: dict[str, Any]) -> A2aAgent:
        return a2a_agents.add_agent(organization=self.access.organization, by=self.access.actor, **wanted)


class OneA2aAgentView(OrganizationView):
    """One agent, by name or id."""

    capabilities = {"GET": "view", "PATCH": "manage", "DELETE": "manage"}

    @extend_schema(responses={200: A2aAgentSerializer}, operation_id="get_a2a_agent")
    def get(self, _request: Request, ref: str) -> Response:
        """Show an agent with its card."""
        return Response(a2a_agent_json(selectors.find_a2a_agent(ref)))

    @extend_schema(
        request=A2aAgentChangeSerializer, responses={200: A2aAgentSerializer}, operation_id="change_a2a_agent"
    )
    def patch(self, request: Request, ref: str) -> Response:
        """Switch an agent on or off, or give it another key."""
        changes = checked(A2aAgentChangeSerializer, request)
        return Response(a2a_agent_json(a2a_agents.change_agent(selectors.find_a2a_agent(ref), **changes)))

    @extend_schema(responses={204: None}, operation_id="delete_a2a_agent")
    def delete(self, _request: Request, ref: str) -> Response:
        """Delete an agent; nodes that name it fail from now on."""
        a2a_agents.delete_agent(selectors.find_a2a_agent(ref))
        return Response(status=204)


class RefreshA2aAgentView(OrganizationView):
    """Reading a card."""

    capabilities = {"POST": "manage"}
    throttle_group = "run"

    @extend_schema(request=None, responses={200: A2aAgentSerializer}, operation_id="refresh_a2a_agent")
    def post(self, _request: Request, ref: str) -> Response:
        """Read the agent's card anew; what is wrong with it is told in `problem`. Accepts nothing."""
        return Response(a2a_agent_json(a2a_agents.refresh_agent(selectors.find_a2a_agent(ref))))


class AcceptA2aCardView(OrganizationView):
    """Accepting a card."""

    capabilities = {"POST": "manage"}

    @extend_schema(request=AcceptedCardSerializer, responses={200: A2aAgentSerializer}, operation_id="accept_a2a_card")
    def post(self, request: Request, ref: str) -> Response:
        """Have the card used that was read last: only the one whose digest you send, as you have seen it."""
        digest = checked(AcceptedCardSerializer, request)["digest"]
        found = a2a_agents.accept_card(selectors.find_a2a_agent(ref), digest=digest, by=self.access.actor)
        return Response(a2a_agent_json(found))

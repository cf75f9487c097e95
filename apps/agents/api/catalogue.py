"""Agents: what there is, and running one."""

from typing import Any
from uuid import uuid4

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import HEADER, Answer, run_once
from apps.agents import registry, selectors
from apps.agents.registry import AgentType
from apps.agents.serializers.catalogue import AgentSerializer, ExecuteSerializer, ExecutionSerializer, agent_json
from apps.agents.services import live
from apps.agents.services.execution import Spending, choose_agent, execute
from apps.common.errors import ErrorItem, Invalid, NotFound, NotNow, Unavailable
from apps.common.json import JSON
from apps.common.listing import BY_NAME, paginate_by_name
from apps.common.money import decimal_of
from apps.common.openapi import page_of
from apps.common.parameters import text
from apps.common.serializers import checked
from apps.common.transactions import allow_idle


class AgentsView(OrganizationView):
    """The agents that workflows can use."""

    query = {"GET": {**BY_NAME, "capability": text("Only agents that can do this.", max_length=200)}}

    @extend_schema(responses={200: page_of(AgentSerializer)}, operation_id="list_agents")
    def get(self, request: Request) -> Response:
        """List the agents by name, with what they take and give."""
        capability = self.query_values["capability"]
        organization = self.access.organization.pk
        agents = registry.able_for(organization, capability) if capability else registry.all_for(organization)
        return paginate_by_name(agents, request, name=lambda agent_type: agent_type.name, serialize=agent_json)


class AgentView(OrganizationView):
    """One agent."""

    capabilities = {"GET": "view", "DELETE": "run"}

    @extend_schema(responses={200: AgentSerializer}, operation_id="get_agent")
    def get(self, _request: Request, name: str) -> Response:
        """Show one agent with what it takes and gives."""
        return Response(agent_json(registry.get_for(self.access.organization.pk, name)))

    @extend_schema(responses={204: None}, operation_id="remove_agent_instance")
    def delete(self, _request: Request, name: str) -> Response:
        """Sign a remote instance off, by its id or name: what it has goes to others, and its agent stays known."""
        live.remove(selectors.find_instance(name), by=self.access.actor)
        return Response(status=204)


class ExecuteAgentView(OrganizationView):
    """Running one agent."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    @extend_schema(request=ExecuteSerializer, responses={200: ExecutionSerializer}, operation_id="execute_agent")
    def post(self, request: Request) -> Response:
        """Run one task on one agent and wait for the result, at most 60 seconds.

        A task that fails is an answer with the status `failed` and the reason; only a request that cannot be
        understood is an error.
        """
        asked = checked(ExecuteSerializer, request)
        if HEADER not in request.headers:
            return Response(self._execute(asked, key=str(uuid4()))[1])
        return run_once(request, lambda: self._once(request, asked))

    def _once(self, request: Request, asked: dict[str, Any]) -> Answer:
        allow_idle(asked["timeout"] + 5)
        return self._execute(asked, key=f"{self.access.organization.pk}:{request.headers[HEADER]}")

    def _execute(self, asked: dict[str, Any], key: str) -> Answer:
        agent_type, task = self._chosen(asked, key)
        spending = Spending()
        outcome = execute(
            agent_type,
            task,
            organization_id=self.access.organization.pk,
            config=asked.get("config"),
            timeout=asked["timeout"],
            key=key,
            session=asked.get("session"),
            input_at="/input" if "input" in asked else "/input_data",
            caller=self.access.actor,
            spending=spending,
            capability=asked.get("capability", ""),
        )
        cost = float(decimal_of(spending.micro_usd)) + agent_type.usd_per_call
        return 200, {**outcome.as_json(), "agent": agent_type.name, "cost_usd": cost}

    def _chosen(self, asked: dict[str, Any], key: str) -> tuple[AgentType, JSON]:
        """Give the agent that is meant, and the task; an unknown name is a fault of the request's body."""
        field = next(name for name in ("agent_type", "agent", "capability") if name in asked)
        task, organization = asked.get("input_data", asked.get("input")), self.access.organization.pk
        try:
            if field != "capability":
                return registry.get_for(organization, asked[field]), task
            return choose_agent(asked[field], task, organization_id=organization, key=key), task
        except NotFound as missing:
            fault = ErrorItem(f"/{field}", missing.code, missing.detail)
            raise Invalid(missing.detail, code=missing.code, errors=[fault]) from None
        except NotNow as later:
            raise Unavailable(later.message, code=later.code, retry_after=later.retry_after) from None

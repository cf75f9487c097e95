"""Agents: what there is, and running one."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import HEADER, Answer, run_once
from apps.agents import registry
from apps.agents.registry import AgentType
from apps.agents.serializers.catalogue import AgentSerializer, ExecuteSerializer, ExecutionSerializer, agent_json
from apps.agents.services.execution import Spending, execute
from apps.common.errors import ErrorItem, Invalid, NotFound
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
        agents = registry.by_capability(capability) if capability else registry.all()
        return paginate_by_name(agents, request, name=lambda agent_type: agent_type.name, serialize=agent_json)


class AgentView(OrganizationView):
    """One agent."""

    @extend_schema(responses={200: AgentSerializer}, operation_id="get_agent")
    def get(self, _request: Request, name: str) -> Response:
        """Show one agent with what it takes and gives."""
        return Response(agent_json(registry.get(name)))


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
            return Response(self._execute(asked, key=None)[1])
        return run_once(request, lambda: self._once(request, asked))

    def _once(self, request: Request, asked: dict[str, Any]) -> Answer:
        allow_idle(asked["timeout"] + 5)
        return self._execute(asked, key=f"{self.access.organization.pk}:{request.headers[HEADER]}")

    def _execute(self, asked: dict[str, Any], key: str | None) -> Answer:
        agent_type, task = _chosen(asked)
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
        )
        cost = float(decimal_of(spending.micro_usd))
        return 200, {**outcome.as_json(), "agent": agent_type.name, "cost_usd": cost}


def _chosen(asked: dict[str, Any]) -> tuple[AgentType, JSON]:
    """Give the agent that is meant, and the task as it needs it; an unknown name is a fault of the request's body."""
    field = next(name for name in ("agent_type", "agent", "capability") if name in asked)
    task = asked.get("input_data", asked.get("input"))
    try:
        if field != "capability":
            return registry.get(asked[field]), task
        agent_type = registry.select(asked[field])
        return agent_type, agent_type.addressed(task, asked[field])
    except NotFound as missing:
        fault = ErrorItem(f"/{field}", missing.code, missing.detail)
        raise Invalid(missing.detail, code=missing.code, errors=[fault]) from None

"""Who would get a task, and why."""

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.agents.serializers.live import RouteSerializer
from apps.agents.services.merit import route
from apps.common.errors import BadRequest, ErrorItem
from apps.common.parameters import text


class RouteView(OrganizationView):
    """A choice that is only looked at."""

    query = {
        "GET": {
            "capability": text("What has to be done.", max_length=200),
            "input": text("The task as JSON; without it everybody's schema fits.", max_length=10_000),
        }
    }

    @extend_schema(responses={200: RouteSerializer}, operation_id="route_agent")
    def get(self, _request: Request) -> Response:
        """Explain who would be chosen for a capability now, with the figures of everybody who can do it."""
        capability = self.query_values["capability"]
        if not capability:
            raise _wrong("capability", "Name a capability: ?capability=summarise.")
        return Response(route(self.access.organization.pk, capability, self._task()).as_json())

    def _task(self) -> Any:
        given = self.query_values["input"]
        try:
            return None if given is None else orjson.loads(given)
        except ValueError as error:
            raise _wrong("input", f"'input' is not JSON: {error}.") from None


def _wrong(name: str, message: str) -> BadRequest:
    return BadRequest(
        message, code="invalid_parameter", errors=[ErrorItem(f"/query/{name}", "invalid_parameter", message)]
    )

"""What was asked of language models, and what it came to."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.common.clock import now
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, Parameter, choice, integer, text, timestamp
from apps.observability.models import Usage
from apps.observability.selectors import usage
from apps.observability.serializers.usage import CallView, UsageView, call_json, group_json, sums_json

USUAL_TIME = timedelta(days=30)
MOST_GROUPS = 1000


def _run_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise ValueError("must be the full id of a run") from None


FILTERS = {
    "since": timestamp("Calls from this time on; without it of the last 30 days."),
    "until": timestamp("Calls before this time; without it up to now."),
    "model": text("Only of this model, by the name it was asked under."),
    "agent": text("Only of this agent."),
    "workflow": text("Only of runs of this workflow, by name."),
    "caller": text("Only on behalf of this one: `user:<name>` or `key:<prefix>`."),
    "run": Parameter(_run_id, {"type": "string", "format": "uuid"}, "Only of this run."),
    "outcome": choice(*Usage.Outcome.values, description="Only those that ended so."),
}


class UsageSumsView(OrganizationView):
    """Sums of usage."""

    query = {
        "GET": {
            **FILTERS,
            "group_by": choice(*usage.GROUPS, description="What the calls are put together by.", default="model"),
            "limit": integer(1, MOST_GROUPS, description="Groups in the answer.", default=50),
        }
    }

    @extend_schema(responses={200: UsageView}, operation_id="get_usage")
    def get(self, _request: Request) -> Response:
        """Sum up tokens and cost by model, agent, workflow, caller, day or run, the most expensive first."""
        since, until = _time(self.query_values)
        found = usage.calls(**_filters(self.query_values) | {"since": since, "until": until})
        group, limit = self.query_values["group_by"], self.query_values["limit"]
        groups = usage.sums_by(found, group, limit + 1)
        answer = {
            "since": since,
            "until": until,
            "group_by": group,
            "total": sums_json(usage.sums(found)),
            "items": [group_json(name, sums) for name, sums in groups[:limit]],
            "is_truncated": len(groups) > limit,
        }
        return Response(answer)


class CallsView(OrganizationView):
    """Calls."""

    query = {"GET": {**LISTING, **FILTERS}}

    @extend_schema(responses={200: page_of(CallView)}, operation_id="list_calls")
    def get(self, request: Request) -> Response:
        """List the calls of language models, the newest first."""
        return paginate(usage.calls(**_filters(self.query_values)), request, serialize=call_json)


def _filters(values: Any) -> dict[str, Any]:
    return {name: values[name] for name in FILTERS}


def _time(values: Any) -> tuple[datetime, datetime]:
    until: datetime = values["until"] or now()
    return values["since"] or until - USUAL_TIME, until

"""Runs: reading them and acting on them."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import run_once
from apps.common.errors import BadRequest, ErrorItem
from apps.common.json import JSON
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, choice, integer, many, text, timestamp
from apps.common.serializers import StrictSerializer, checked
from apps.workflows import selectors
from apps.workflows.api.waiting import WAIT, answer_when_ended
from apps.workflows.api.workflows import InlineRunView
from apps.workflows.engine.states import RunStatus
from apps.workflows.models import Run
from apps.workflows.serializers.runs import (
    EventView,
    LogLineView,
    NodeRunView,
    RunDetail,
    RunView,
    StartedRun,
    event_view,
    log_line_view,
    node_views,
    run_detail,
    run_view,
)
from apps.workflows.serializers.traces import TraceView, trace_of
from apps.workflows.serializers.workflows import InlineRunSerializer
from apps.workflows.services import forks, runs
from apps.workflows.streams import stream_events, wants_stream

FILTERS = {
    "workflow": text("Runs of the workflow with this name or id."),
    "status": many(choice(*RunStatus, description="Runs with one of these statuses.")),
    "trigger": text("Runs that were started this way: api, cli, run, fork ...", max_length=20),
    "label": many(text("Runs with this label, written `key:value`.")),
    "created_after": timestamp("Runs created after this time."),
    "created_before": timestamp("Runs created before this time."),
}
FIELDS = many(text("Only these fields of the answer."))
EXPAND = many(choice("nodes", description="`nodes`: every node run, also of a run with more than 1,000."))


class ForkSerializer(StrictSerializer):
    """Where a new run branches off, and what is different in it."""

    from_node = serializers.CharField(max_length=128, help_text="The node that runs again first.")
    visit = serializers.IntegerField(required=False, min_value=1, help_text="Which visit of it; without it the latest.")
    input = serializers.JSONField(required=False, help_text="Another input for the new run.")
    context = serializers.JSONField(required=False, help_text="Context keys to set before it goes on.")  # type: ignore[assignment]
    definition = serializers.JSONField(required=False, help_text="Another definition, in any dialect.")


class RunsView(InlineRunView):
    """All runs."""

    capabilities = {"GET": "view", "POST": "run"}
    throttle_group = {"POST": "run"}
    query = {"GET": {**LISTING, **FILTERS}, "POST": {"wait": WAIT}}

    @extend_schema(responses={200: page_of(RunView)}, operation_id="list_runs")
    def get(self, request: Request) -> Response:
        """List runs, the newest first."""
        return paginate(selectors.filtered_runs(dict(self.query_values)), request, serialize=run_view)

    @extend_schema(
        request=InlineRunSerializer, responses={200: StartedRun, 202: StartedRun}, operation_id="run_definition"
    )
    def post(self, request: Request) -> Response:
        """Run a definition in any dialect without saving it."""
        return self.start_inline(request)


class OneRunView(OrganizationView):
    """One run."""

    query = {"GET": {"fields": FIELDS, "expand": EXPAND}}

    @extend_schema(responses={200: RunDetail}, operation_id="get_run")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a run: its status, values, and every node with its attempts."""
        fields = _known_fields(self.query_values["fields"])
        every_node = "nodes" in self.query_values["expand"]
        return Response(run_detail(selectors.find_run(ref), fields=fields, every_node=every_node))


class NodesView(OrganizationView):
    """The nodes of a run."""

    query = {"GET": {**LISTING, "node": text("Only this node."), "status": text("Only this status.", max_length=20)}}

    @extend_schema(responses={200: page_of(NodeRunView)}, operation_id="list_nodes")
    def get(self, request: Request, ref: str) -> Response:
        """List the visits and map items of a run, in the order in which they were queued."""
        run = selectors.find_run(ref)
        found = selectors.node_runs(run)
        for name in ("node", "status"):
            if wanted := self.query_values[name]:
                found = found.filter(**{name: wanted})
        return paginate(
            found,
            request,
            default="created_at",
            serialize=lambda node: node_views(run, [node])[0].model_dump(mode="json"),
        )


class EventsView(OrganizationView):
    """The history of a run."""

    query = {
        "GET": {
            "after": integer(0, 10**15, description="Only events after this number.", default=0),
            "limit": integer(1, 1000, description="Events on one page.", default=200),
        }
    }

    @extend_schema(responses={200: page_of(EventView)}, operation_id="list_events")
    def get(self, _request: Request, ref: str) -> Response:
        """List events in order; `seq` has no gaps, and `next_cursor` is the `after` of the next page.

        With `Accept: text/event-stream` they are streamed live: `id` is `seq`, `Last-Event-ID` or `?after=` resumes
        without loss or repeat, and the stream ends after the run's last event.
        """
        run = selectors.find_run(ref)
        limit = self.query_values["limit"]
        found = list(selectors.events(run, self.query_values["after"])[: limit + 1])
        cursor = str(found[limit - 1].seq) if len(found) > limit else None
        return Response({"items": [event_view(event) for event in found[:limit]], "next_cursor": cursor})


_list_events = EventsView.as_view()


@csrf_exempt  # the view checks it itself, where a session asks
def events(request: HttpRequest, ref: str) -> HttpResponseBase:
    """The history as JSON, or live where the client accepts an event stream."""
    if wants_stream(request):
        return stream_events(request, ref)
    return _list_events(request, ref=ref)


# How the OpenAPI generator finds a view's class.
events.cls = EventsView  # type: ignore[attr-defined]
events.initkwargs = {}  # type: ignore[attr-defined]


class LogsView(OrganizationView):
    """The log of a run."""

    query = {
        "GET": {
            **LISTING,
            "search": text("Part of a message."),
            "level": choice("debug", "info", "warning", "error"),
            "node": text("Only this node."),
        }
    }

    @extend_schema(responses={200: page_of(LogLineView)}, operation_id="list_log_lines")
    def get(self, request: Request, ref: str) -> Response:
        """List what the nodes wrote to the log."""
        wanted = {name: self.query_values[name] or "" for name in ("search", "level", "node")}
        lines = selectors.log_lines(selectors.find_run(ref), **wanted)
        return paginate(lines, request, default="created_at", serialize=log_line_view)


class RunTraceView(OrganizationView):
    """The trace of a run."""

    @extend_schema(responses={200: TraceView}, operation_id="get_trace")
    def get(self, _request: Request, ref: str) -> Response:
        """Show the run as OpenTelemetry-shaped spans: run, node, attempt, and the recorded calls in it."""
        return Response(trace_of(selectors.find_run(ref)))


class _ActView(OrganizationView):
    """Something done to a run."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    def act(self, run: Run) -> None:
        raise NotImplementedError

    def answer(self, request: Request, ref: str) -> Response:
        """Act, and show the run as it is then."""
        run = selectors.find_run(ref)

        def work() -> tuple[int, JSON]:
            self.act(run)
            return 200, run_view(selectors.find_run(run.pk))

        return run_once(request, work)


class CancelView(_ActView):
    """Cancelling."""

    def act(self, run: Run) -> None:
        runs.cancel_run(run.pk, by=self.access.actor)

    @extend_schema(request=None, responses={200: RunView}, operation_id="cancel_run")
    def post(self, request: Request, ref: str) -> Response:
        """End a run and everything in flight, child runs included."""
        return self.answer(request, ref)


class PauseView(_ActView):
    """Pausing."""

    def act(self, run: Run) -> None:
        runs.pause_run(run.pk, by=self.access.actor)

    @extend_schema(request=None, responses={200: RunView}, operation_id="pause_run")
    def post(self, request: Request, ref: str) -> Response:
        """Let running nodes finish and start no further ones."""
        return self.answer(request, ref)


class ResumeView(_ActView):
    """Resuming."""

    def act(self, run: Run) -> None:
        runs.resume_run(run.pk, by=self.access.actor)

    @extend_schema(request=None, responses={200: RunView}, operation_id="resume_run")
    def post(self, request: Request, ref: str) -> Response:
        """Go on with a paused run."""
        return self.answer(request, ref)


class RetryView(_ActView):
    """Retrying."""

    def act(self, run: Run) -> None:
        runs.retry_run(run.pk, by=self.access.actor)

    @extend_schema(request=None, responses={200: RunView}, operation_id="retry_run")
    def post(self, request: Request, ref: str) -> Response:
        """Go on with a failed run from its failed nodes; finished work is not repeated."""
        return self.answer(request, ref)


class ForkView(OrganizationView):
    """Forking."""

    capabilities = {"POST": "run"}
    throttle_group = "run"
    query = {"POST": {"wait": WAIT}}

    @extend_schema(request=ForkSerializer, responses={200: StartedRun, 202: StartedRun}, operation_id="fork_run")
    def post(self, request: Request, ref: str) -> Response:
        """Start a new run that takes over everything finished before a node, with what you change."""
        wanted = checked(ForkSerializer, request)
        run = selectors.find_run(ref)
        for name in ("input", "context"):
            if name in wanted and not isinstance(wanted[name], dict):
                fault = ErrorItem(f"/{name}", "not_an_object", f"'{name}' is an object.")
                raise BadRequest(fault.message, code="invalid_request", errors=[fault])
        return answer_when_ended(self, request, lambda: forks.fork_run(run, by=self.access.actor, **wanted))


def _known_fields(fields: list[str]) -> list[str]:
    known = RunDetail.model_fields
    unknown = [name for name in fields if name not in known]
    if unknown:
        message = f"There is no field '{unknown[0][:60]}'; there are {', '.join(known)}."
        fault = ErrorItem("/query/fields", "unknown_field", message)
        raise BadRequest(message, code="unknown_field", errors=[fault])
    return fields

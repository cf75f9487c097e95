"""The addresses of the APIs that Orchestra grew from: thin routes to the same services, in the shapes they had.

`/run-graph` and its neighbours call a run a workflow, so an id under `/workflows` may be either's.
"""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.common.errors import NotFound
from apps.common.json import JSON
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, choice, many
from apps.common.serializers import checked, json_object
from apps.workflows import selectors
from apps.workflows.api.tasks import OneTaskView, TaskStatusView, TasksView
from apps.workflows.api.waiting import WAIT, answer_when_ended
from apps.workflows.api.workflows import WorkflowsView, start, start_inline, wanted_version
from apps.workflows.engine.states import RUN_ENDED, RunStatus
from apps.workflows.models import Run, Workflow
from apps.workflows.serializers.older import (
    execution_logs,
    execution_status,
    graph_status,
    graph_view,
    listed_graph,
    started_execution,
)
from apps.workflows.serializers.tasks import task_view
from apps.workflows.serializers.workflows import RunOrderSerializer, workflow_view
from apps.workflows.services import runs, versions
from apps.workflows.services.definitions import check_definition

STATUS = many(choice(*RunStatus, description="Runs with one of these statuses; without it saved workflows."))


class OlderWorkflowsView(WorkflowsView):
    """`/workflows`: saved workflows, and with `?status=` runs."""

    query = {"GET": {**LISTING, "status": STATUS}, "POST": WorkflowsView.query["POST"]}

    def get(self, request: Request) -> Response:
        """List runs with the wanted statuses, else saved workflows."""
        if statuses := self.query_values["status"]:
            page = paginate(selectors.filtered_runs({"status": statuses}), request, serialize=listed_graph)
        else:
            page = paginate(selectors.workflows(), request, serialize=lambda one: _named(workflow_view(one)))
        page.data = {"workflows": page.data["items"], **page.data}
        return page

    def post(self, request: Request) -> Response:
        """Save a workflow: `{name, steps}`, or any other dialect."""
        answer = super().post(request)
        answer.data = _named(answer.data)
        return answer


class OlderWorkflowView(OrganizationView):
    """`/workflows/{id}` of a workflow or a run."""

    capabilities = {"GET": "view", "DELETE": "run"}

    def get(self, _request: Request, ref: str) -> Response:
        """Show a workflow, or a run with its tasks."""
        found = _workflow_or_run(ref)
        return Response(graph_status(found) if isinstance(found, Run) else _named(workflow_view(found)))

    def delete(self, _request: Request, ref: str) -> Response:
        """Archive a workflow, or end a run; the history of a run is kept."""
        found = _workflow_or_run(ref)
        if isinstance(found, Workflow):
            self.access.require("edit")
            versions.archive_workflow(found)
            return Response({"workflow_id": str(found.pk), "status": "archived"})
        if found.status not in RUN_ENDED:
            runs.cancel_run(found.pk, by=self.access.actor)
        return Response({"workflow_id": str(found.pk), "status": selectors.find_run(found.pk).status})


class ExecuteView(OrganizationView):
    """`/workflows/{id}/execute`."""

    capabilities = {"POST": "run"}
    throttle_group = "run"
    query = {"POST": {"wait": WAIT}}

    def post(self, request: Request, ref: str) -> Response:
        """Start a run of a saved workflow with `input_data`."""
        order = checked(RunOrderSerializer, request)
        version = wanted_version(self, ref, order)
        return answer_when_ended(self, request, lambda: start(self, version, order), show=started_execution)


class ExecutionStatusView(OrganizationView):
    """`/executions/{id}/status`."""

    def get(self, _request: Request, ref: str) -> Response:
        """Show where a run stands, step by step."""
        return Response(execution_status(selectors.find_run(ref)))


class ExecutionLogsView(OrganizationView):
    """`/executions/{id}/logs`."""

    def get(self, _request: Request, ref: str) -> Response:
        """Show what happened in a run."""
        return Response(execution_logs(selectors.find_run(ref)))


class RunGraphView(OrganizationView):
    """`/run-graph`."""

    capabilities = {"POST": "run"}
    throttle_group = "run"
    query = {"POST": {"wait": WAIT}}

    def post(self, request: Request) -> Response:
        """Run a list of tasks: `{workflow_type, tasks, metadata}`."""
        document = json_object(request)
        definition = check_definition(document)
        return answer_when_ended(
            self,
            request,
            lambda: start_inline(self, document, definition, {"input": {}}, trigger="api"),
            show=lambda run: {"id": str(run.pk), **_as_sent(graph_view(run), document)},
        )


class GraphStatusView(OrganizationView):
    """`/status/{id}`."""

    def get(self, _request: Request, ref: str) -> Response:
        """Show where a run stands, task by task."""
        return Response(graph_status(selectors.find_run(ref)))


class OlderTasksView(TasksView):
    """`/api/v1/tasks`."""

    def show(self, run: Run) -> dict[str, Any]:
        """Give the answer's body."""
        return _as_task(task_view(run))


class OlderTaskView(OneTaskView):
    """`/api/v1/tasks/{id}`."""

    def get(self, request: Request, ref: str) -> Response:
        """Show a task."""
        return Response(_as_task(super().get(request, ref).data))


class OlderTaskStatusView(TaskStatusView):
    """`/api/v1/tasks/{id}/status`."""

    def get(self, request: Request, ref: str) -> Response:
        """Show where a task stands."""
        return Response(_as_task(super().get(request, ref).data))


def _workflow_or_run(ref: str) -> Workflow | Run:
    try:
        return selectors.find_workflow(ref)
    except NotFound as missing:
        try:
            return selectors.find_run(ref)
        except NotFound:
            raise missing from None


def _named(view: dict[str, JSON]) -> dict[str, JSON]:
    return {"workflow_id": view["id"], **view}


def _as_task(view: dict[str, JSON]) -> dict[str, JSON]:
    return {"task_id": view["id"], **view}


def _as_sent(view: dict[str, JSON], document: dict[str, Any]) -> dict[str, JSON]:
    """The view with each task's own fields, which a run in any other dialect does not have."""
    sent = document.get("tasks", [])
    if len(sent) != len(view["tasks"]):
        return view
    return view | {"tasks": [{**one, **task} for one, task in zip(sent, view["tasks"], strict=True)]}

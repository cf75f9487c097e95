"""Tasks: a goal, planned and run in one call."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.common.errors import ErrorItem, Invalid
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, choice, many
from apps.common.serializers import json_object
from apps.workflows import selectors
from apps.workflows.api.waiting import WAIT, answer_when_ended
from apps.workflows.api.workflows import start_inline
from apps.workflows.engine.states import RunStatus
from apps.workflows.models import Run
from apps.workflows.serializers.tasks import TaskStatus, TaskView, task_status, task_view
from apps.workflows.services.definitions import Checked, check_definition

STATUS = many(choice(*RunStatus, description="Tasks with one of these statuses."))


class TasksView(OrganizationView):
    """All tasks."""

    capabilities = {"GET": "view", "POST": "run"}
    throttle_group = {"POST": "run"}
    query = {"GET": {**LISTING, "status": STATUS}, "POST": {"wait": WAIT}}

    @extend_schema(responses={200: page_of(TaskStatus)}, operation_id="list_tasks")
    def get(self, request: Request) -> Response:
        """List the tasks, the newest first."""
        found = selectors.tasks()
        if statuses := self.query_values["status"]:
            found = found.filter(status__in=statuses)
        return paginate(found, request, serialize=task_status)

    @extend_schema(request=OpenApiTypes.OBJECT, responses={200: TaskView, 202: TaskView}, operation_id="create_task")
    def post(self, request: Request) -> Response:
        """Plan a goal (`type` with `query` or `input`) and run the plan: 202 at once, or 200 with `?wait=` seconds."""
        goal = json_object(request)
        plan = _plan(goal)
        return answer_when_ended(
            self,
            request,
            lambda: start_inline(self, goal, plan, {"input": {}}, trigger=selectors.TASK),
            show=self.show,
        )

    def show(self, run: Run) -> dict[str, Any]:
        """Give the answer's body."""
        return task_view(run)


class OneTaskView(OrganizationView):
    """One task."""

    @extend_schema(responses={200: TaskView}, operation_id="get_task")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a task: its goal, the plan, and the output once there is one."""
        return Response(task_view(selectors.find_task(ref)))


class TaskStatusView(OrganizationView):
    """Where one task stands."""

    @extend_schema(responses={200: TaskStatus}, operation_id="get_task_status")
    def get(self, _request: Request, ref: str) -> Response:
        """Show where a task stands and how much of it is done."""
        return Response(task_status(selectors.find_task(ref)))


def _plan(goal: dict[str, Any]) -> Checked:
    """The plan for a goal; raises Invalid for any other document."""
    plan = check_definition(goal)
    if plan.dialect != "goal":
        message = "A task is a goal: a 'type' with a 'query' or an 'input'."
        fault = ErrorItem("", "not_a_goal", message, "A definition is run by POST /v1/runs.")
        raise Invalid(message, code="not_a_goal", errors=[fault])
    return plan

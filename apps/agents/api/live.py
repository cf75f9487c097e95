"""Agents outside: joining, staying, fetching tasks and bringing results; and what people do with them."""

import threading
import time
from typing import Any

from django.db.models.functions import Now
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.agents import selectors
from apps.agents.models import AgentInstance, AgentTask
from apps.agents.serializers.live import (
    ClaimedSerializer,
    ClaimSerializer,
    HeartbeatSerializer,
    InstanceSerializer,
    JoinedSerializer,
    PulseSerializer,
    RegisterSerializer,
    ReportSerializer,
    TakenSerializer,
    TaskResultSerializer,
    instance_json,
)
from apps.agents.services import live, remote_tasks, reporting
from apps.agents.services.news import Line
from apps.agents.services.pushing import task_json
from apps.agents.services.reporting import Report
from apps.common.database import release_connection
from apps.common.errors import NotFound
from apps.common.listing import BY_NAME, paginate_by_name
from apps.common.openapi import page_of
from apps.common.parameters import text
from apps.common.serializers import checked

LOOK_SECONDS = 0.25
_room = threading.BoundedSemaphore(12)  # claims that may wait at once; the web has threads for others, too


class RegisterView(OrganizationView):
    """Joining."""

    capabilities = {"POST": "run"}

    @extend_schema(
        request=RegisterSerializer,
        responses={200: JoinedSerializer, 201: JoinedSerializer},
        operation_id="register_agent",
    )
    def post(self, request: Request) -> Response:
        """Register an agent process, or renew what it says of itself; then it has to show itself by heartbeats."""
        facts = RegisterSerializer().facts(checked(RegisterSerializer, request))

        def work() -> Answer:
            joined = live.register(organization=self.access.organization, **facts)
            shown = instance_json(selectors.find_instance(joined.instance.name))
            return (201 if joined.is_new else 200), {**shown, "secret": joined.secret}

        return run_once(request, work, conceal=("secret",))


class InstancesView(OrganizationView):
    """The agent processes outside."""

    query = {
        "GET": {**BY_NAME, "capability": text("Only those that can do this."), "agent": text("Only of this agent.")}
    }

    @extend_schema(responses={200: page_of(InstanceSerializer)}, operation_id="list_agent_instances")
    def get(self, request: Request) -> Response:
        """List the instances by name, those that are silent too."""
        found = selectors.instances()
        if capability := self.query_values["capability"]:
            found = found.filter(capability_names__contains=[capability])
        if agent := self.query_values["agent"]:
            found = found.filter(agent=agent)
        return paginate_by_name(found, request, name=lambda one: one.name, serialize=instance_json)


class InstanceView(OrganizationView):
    """One of them."""

    @extend_schema(responses={200: InstanceSerializer}, operation_id="get_agent_instance")
    def get(self, _request: Request, ref: str) -> Response:
        """Show an instance, by its id or name."""
        return Response(instance_json(selectors.find_instance(ref)))


class HeartbeatView(OrganizationView):
    """Staying."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    @extend_schema(request=HeartbeatSerializer, responses={200: PulseSerializer}, operation_id="send_agent_heartbeat")
    def post(self, request: Request, ref: str) -> Response:
        """Show that the instance lives and how much it does; its leases are renewed."""
        asked = checked(HeartbeatSerializer, request)
        instance = selectors.find_instance(ref)
        pulse = live.beat(instance, load=asked["load"], status=asked["status"], held=asked["tasks"])
        told = {"state": pulse.instance.state, "mode": pulse.instance.mode}
        return Response({**told, "withdrawn": [str(one) for one in pulse.withdrawn]})


class InstanceActView(OrganizationView):
    """What people do with an instance."""

    capabilities = {"POST": "run"}

    @extend_schema(request=None, responses={200: InstanceSerializer}, operation_id="act_on_agent_instance")
    def post(self, request: Request, ref: str, act: str) -> Response:
        """Drain (nothing new), resume, or disable (what it has goes to others) an instance; twice is once."""
        if act not in live.ACTS:
            raise NotFound(f"An instance cannot be asked to '{act[:40]}'.")
        instance = selectors.find_instance(ref)

        def work() -> Answer:
            live.ACTS[act](instance, by=self.access.actor)
            return 200, instance_json(selectors.find_instance(str(instance.pk)))

        return run_once(request, work)


class ClaimView(OrganizationView):
    """Fetching a task."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    @extend_schema(request=ClaimSerializer, responses={200: ClaimedSerializer}, operation_id="claim_agent_task")
    def post(self, request: Request, ref: str) -> Response:
        """Claim the oldest task that the instance can do, waiting for one; null when there is none.

        The claim is a lease that heartbeats renew. A claim whose answer is lost ends with it.
        """
        wait = checked(ClaimSerializer, request)["wait"]
        instance = selectors.find_instance(ref)
        AgentInstance.objects.filter(pk=instance.pk).update(polled_at=Now())
        task = _claimed(instance, wait)
        mode = AgentInstance.objects.values_list("mode", flat=True).get(pk=instance.pk)
        return Response({"task": task_json(task) if task else None, "mode": mode})


class AgentTaskView(OrganizationView):
    """Bringing a result."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    @extend_schema(request=TaskResultSerializer, responses={200: TakenSerializer}, operation_id="finish_agent_task")
    def post(self, request: Request, ref: str, task: str) -> Response:
        """Bring the result of a claimed task, or why it failed; the same again is fine.

        409 `stale_fence` when another instance has taken the task over, `task_ended` when nobody waits for it.
        """
        asked = checked(TaskResultSerializer, request)
        instance, found = selectors.find_instance(ref), selectors.find_task(task)
        cost = asked["cost_usd"] or instance.usd_per_call
        ended = _end(found, instance, asked, cost)
        return Response({"id": str(ended.pk), "state": ended.state})


class TaskReportsView(OrganizationView):
    """Telling of the work."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    @extend_schema(request=ReportSerializer, responses={200: TakenSerializer}, operation_id="report_on_agent_task")
    def post(self, request: Request, ref: str, task: str) -> Response:
        """Show progress and log lines of a claimed task in its run; of a single call nobody sees them.

        409 `stale_fence` or `task_ended` when the work is not wanted any more.
        """
        asked = checked(ReportSerializer, request)
        instance, found = selectors.find_instance(ref), selectors.find_task(task)
        lines = [Line(**line) for line in asked["lines"]]
        report = Report(asked["progress"], lines, asked["first"])
        held = reporting.take(found, instance, fence=asked["fence"], report=report)
        return Response({"id": str(held.pk), "state": held.state})


def _end(task: AgentTask, instance: AgentInstance, asked: dict[str, Any], cost: float) -> AgentTask:
    if asked["status"] == "completed":
        return remote_tasks.complete(task, instance, fence=asked["fence"], output=asked["output"], cost_usd=cost)
    return remote_tasks.fail(task, instance, fence=asked["fence"], error=asked["error"], cost_usd=cost)


def _claimed(instance: AgentInstance, seconds: float) -> AgentTask | None:
    """Look again and again until there is a task or the time is over; at once where too many wait already."""
    task = remote_tasks.claim(instance)
    if task or not seconds or not _room.acquire(blocking=False):
        return task
    try:
        ends = time.monotonic() + seconds
        while task is None and (left := ends - time.monotonic()) > 0:
            release_connection()
            time.sleep(min(left, LOOK_SECONDS))
            task = remote_tasks.claim(instance)
        return task
    finally:
        _room.release()

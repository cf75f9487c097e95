"""Workflows and runs as rows, for pages that list them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django_scopes import scope

from apps.accounts.models import Organization
from apps.common import json
from apps.common.clock import now
from apps.workflows.models import NodeRun, Run, Workflow, WorkflowVersion
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.versions import Source, save_workflow
from tests.engine.documents import workflow as document
from tests.workflows.engine_room import EngineRoom

ENDED = ("completed", "failed", "cancelled")


def saved(organization: Organization, name: str, **parts: Any) -> Workflow:
    """A workflow of one node; `parts` are added to its definition."""
    definition = document({"work": {"type": "set", "values": {"done": True}}}, name=name, **parts)
    with scope(organization=organization):
        checked = check_definition(definition)
        source = Source(json.dumps(definition).decode(), "json")
        return save_workflow(organization=organization, checked=checked, source=source, by="user:alice").workflow


def listed(
    workflow: Workflow,
    status: str = "completed",
    *,
    count: int = 1,
    age: timedelta = timedelta(minutes=5),
    took: timedelta = timedelta(seconds=2),
    **columns: Any,
) -> list[Run]:
    """Runs of a workflow as the list finds them, one second apart, the newest first; nothing executes them."""
    with scope(organization=workflow.organization):
        version = WorkflowVersion.objects.get(workflow=workflow, number=workflow.latest_version)
        if status == "failed":
            columns.setdefault(
                "error", {"code": "refused", "message": "The channel #launch does not exist.", "node": "post"}
            )
        began = [now() - age - timedelta(seconds=number) for number in range(count)]
        return Run.objects.bulk_create(
            Run(
                organization=workflow.organization,
                workflow=workflow,
                version=version,
                name=workflow.name,
                status=status,
                marking={},
                created_at=moment,
                started_at=None if status == "pending" else moment,
                finished_at=moment + took if status in ENDED else None,
                **{"input": '{"topic":"heat pumps"}', "created_by": "user:alice"} | columns,
            )
            for moment in began
        )


def wide_map(room: EngineRoom, items: int) -> UUID:
    """A run of a map in which all items but the first two have ended as rows; nothing executed them."""
    each = {"type": "map", "over": "{{ inputs.list }}", "node": {"type": "wait", "event": "e"}}
    run = room.start(document({"each": each}), {"list": [1, 2]})
    room.work()
    with room.scope():
        parent = NodeRun.objects.get(run=run, node="each", index=-1)
        common = {"organization": room.organization, "run_id": run, "node": "each", "visit": 1, "parent": parent}
        NodeRun.objects.bulk_create(
            NodeRun(**common, index=index, handler="wait", status="completed") for index in range(2, items)
        )
    return run

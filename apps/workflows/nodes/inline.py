"""The node types that only decide: set, map, workflow, approval, wait and fail."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apps.workflows.engine.durations import LONGEST, parse_duration
from apps.workflows.engine.spec import ApprovalNode, FailNode, MapNode, SetNode, WaitNode, WorkflowNode
from apps.workflows.nodes.base import (
    ApprovalRequest,
    ChildRequest,
    Completed,
    EventRequest,
    Failed,
    ItemsRequest,
    NodeError,
    Outcome,
    Waiting,
    invalid,
    timed_out,
)


class SetHandler:
    """Computes values."""

    def begin(self, spec: SetNode, fields: Mapping[str, Any]) -> Outcome:  # noqa: ARG002
        """Completed with the values."""
        return Completed(fields.get("values", {}))

    def due(self, spec: SetNode, state: Mapping[str, Any]) -> Completed | Failed:  # noqa: ARG002
        """Never waits."""
        return Completed({})


class FailHandler:
    """Fails with a message."""

    def begin(self, spec: FailNode, fields: Mapping[str, Any]) -> Outcome:
        """Failed for good."""
        return Failed(NodeError("failed", str(fields.get("message", spec.message))))

    def due(self, spec: FailNode, state: Mapping[str, Any]) -> Completed | Failed:  # noqa: ARG002
        """Never waits."""
        return Failed(NodeError("failed", spec.message))


class MapHandler:
    """Runs its inner node for every item of a list."""

    def begin(self, spec: MapNode, fields: Mapping[str, Any]) -> Outcome:
        """Waits for the items; completed at once when there are none."""
        items = fields.get("over")
        if not isinstance(items, list):
            return invalid(f"'over' is {_shown(items)}, not a list.")
        if not items:
            return Completed([])
        return Waiting("items", due_in=spec.timeout, request=ItemsRequest(items))

    def due(self, spec: MapNode, state: Mapping[str, Any]) -> Completed | Failed:  # noqa: ARG002
        """The items took too long."""
        return timed_out(spec, "The map")


class WorkflowHandler:
    """Runs another workflow."""

    def begin(self, spec: WorkflowNode, fields: Mapping[str, Any]) -> Outcome:
        """Waits for the child run."""
        given = fields.get("input", {})
        if not isinstance(given, dict):
            return invalid(f"'input' is {_shown(given)}, not an object.")
        return Waiting("child", due_in=spec.timeout, request=ChildRequest(spec.workflow, spec.version, given))

    def due(self, spec: WorkflowNode, state: Mapping[str, Any]) -> Completed | Failed:  # noqa: ARG002
        """The child run took too long."""
        return timed_out(spec, f"The run of '{spec.workflow}'")


class ApprovalHandler:
    """Waits for a person."""

    def begin(self, spec: ApprovalNode, fields: Mapping[str, Any]) -> Outcome:
        """Waits for the decision."""
        assignees = fields.get("assignees", spec.assignees)
        names = [assignees] if isinstance(assignees, str) else assignees
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return invalid(f"'assignees' is {_shown(assignees)}, not a list of names.")
        request = ApprovalRequest(str(fields["message"]), names, spec.form, spec.on_timeout, fields.get("input"))
        return Waiting("approval", due_in=spec.timeout, request=request)

    def due(self, spec: ApprovalNode, state: Mapping[str, Any]) -> Completed | Failed:  # noqa: ARG002
        """What `on_timeout` says."""
        if spec.on_timeout == "fail":
            return timed_out(spec, "The decision")
        return decided(spec.on_timeout, {}, "Nobody decided in time.", "timeout")


class WaitHandler:
    """Waits for a time or an event."""

    def begin(self, spec: WaitNode, fields: Mapping[str, Any]) -> Outcome:
        """Waits for what the node names."""
        if spec.event is not None:
            return Waiting("event", due_in=spec.timeout, request=EventRequest(str(fields["event"])))
        try:
            if spec.until is not None:
                return Waiting("time", due_at=_moment(fields["until"]))
            return Waiting("time", due_in=_seconds(fields["seconds"]))
        except ValueError as error:
            return invalid(str(error))

    def due(self, spec: WaitNode, state: Mapping[str, Any]) -> Completed | Failed:  # noqa: ARG002
        """The time has come, or the event has not."""
        if spec.event is not None:
            return timed_out(spec, f"The event '{spec.event}'")
        return Completed({})


def decided(decision: str, data: dict[str, Any], comment: str, by: str) -> Completed:
    """The result of an approval: `{decision, route, data, comment, decided_by}`; the route is the decision."""
    output = {"decision": decision, "route": decision, "data": data, "comment": comment, "decided_by": by}
    return Completed(output, refused=decision != "approve")


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError(f"'until' is {_shown(value)}, not a time such as 2030-01-31T12:00:00Z.")
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds(value: Any) -> float:
    seconds = parse_duration(value)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST:
        raise ValueError(f"'seconds' is {_shown(value)}, not a number of seconds between 0 and ten years.")
    return float(seconds)


def _shown(value: Any) -> str:
    return f"{value!r:.60}"

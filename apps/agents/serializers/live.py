"""The wire forms of agents outside and of their tasks."""

from typing import Any

from rest_framework import serializers

from apps.agents import selectors
from apps.agents.models import AgentInstance
from apps.agents.sdk import AGENT_NAME
from apps.agents.services.live_agents import RemoteAgentType
from apps.agents.services.remote_tasks import MOST_LOSSES
from apps.agents.telling import MOST_LETTERS, MOST_TOLD
from apps.common.json import JSON
from apps.common.json_schema import Checker
from apps.common.serializers import StrictSerializer
from apps.common.validation import InvalidInput

MOST_CAPABILITIES = 100
MOST_AT_ONCE = 1000
LONGEST_WAIT = 25.0
RESERVED = frozenset({"register", "execute", "route", "instances"})  # addresses
NAME_RULE = "Letters, digits, '_', '-' and '.', beginning with a letter; at most 100."


def _name(value: str) -> None:
    if not AGENT_NAME.fullmatch(value) or value in RESERVED:
        raise serializers.ValidationError(f"This cannot be a name. {NAME_RULE}", code="invalid_name")


def _schema(value: dict[str, Any]) -> None:
    try:
        Checker(value)
    except InvalidInput as wrong:
        raise serializers.ValidationError(wrong.message, code="invalid_schema") from None


def _endpoint(value: str) -> None:
    import httpx  # noqa: PLC0415 - the commands need these shapes too, and no client

    from apps.integrations.egress.rules import EgressRefused, check_url  # noqa: PLC0415

    try:
        check_url(httpx.URL(value))
    except (EgressRefused, httpx.InvalidURL, ValueError) as refused:
        raise serializers.ValidationError(str(refused), code="invalid_endpoint") from None


class SchemaField(serializers.DictField):
    """A JSON Schema that can be used."""

    default_validators = [_schema]


class CapabilitySerializer(StrictSerializer):
    """One thing that an agent can do."""

    name = serializers.CharField(max_length=200)
    description = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    input_types = serializers.ListField(required=False, child=serializers.CharField(max_length=100), max_length=50)
    output_types = serializers.ListField(required=False, child=serializers.CharField(max_length=100), max_length=50)
    input_schema = SchemaField(required=False, help_text="JSON Schema of the tasks; without one the agent's.")
    output_schema = SchemaField(required=False, help_text="JSON Schema of the results; without one the agent's.")

    def to_internal_value(self, data: Any) -> Any:
        """Take a plain name, too."""
        return super().to_internal_value({"name": data} if isinstance(data, str) else data)


class CostSerializer(StrictSerializer):
    """What an agent says that it costs."""

    usd_per_call = serializers.FloatField(min_value=0, max_value=1_000_000)


class RegisterSerializer(StrictSerializer):
    """An agent process that joins."""

    name = serializers.CharField(max_length=100, validators=[_name], help_text=f"Of this process. {NAME_RULE}")
    agent_type = serializers.CharField(
        required=False, max_length=100, validators=[_name], help_text="Whose work it does; without one its name."
    )
    description = serializers.CharField(required=False, allow_blank=True, default="", max_length=5000)
    capabilities = serializers.ListField(
        required=False, default=list, child=CapabilitySerializer(), max_length=MOST_CAPABILITIES
    )
    input_schema = SchemaField(required=False, default=dict)
    output_schema = SchemaField(required=False, default=dict)
    config_schema = SchemaField(required=False, default=dict)
    endpoint = serializers.CharField(
        required=False,
        allow_null=True,
        default=None,
        max_length=2000,
        validators=[_endpoint],
        help_text="Where tasks are sent; without one the process fetches them.",
    )
    max_concurrency = serializers.IntegerField(required=False, default=1, min_value=1, max_value=MOST_AT_ONCE)
    heartbeat_interval = serializers.FloatField(
        required=False, default=10.0, min_value=0.2, max_value=3600, help_text="Seconds; three missed are one too many."
    )
    version = serializers.CharField(required=False, allow_blank=True, default="", max_length=100)
    cost = CostSerializer(required=False)
    process = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=64,
        help_text="Any id of this start of the process: another one has replaced it, and what it held is offered anew.",
    )
    new_secret = serializers.BooleanField(required=False, default=False, help_text="Make another signing secret.")

    def facts(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Give the columns."""
        cost = asked.pop("cost", None) or {"usd_per_call": 0.0}
        interval, endpoint = asked.pop("heartbeat_interval"), asked.pop("endpoint") or ""
        asked["agent"] = asked.pop("agent_type", None) or asked["name"]
        return {**asked, "interval": interval, "endpoint": endpoint, "usd_per_call": cost["usd_per_call"]}


class HeldSerializer(StrictSerializer):
    """A task that an instance works on."""

    id = serializers.UUIDField()
    fence = serializers.IntegerField(required=False, min_value=1, max_value=2**62)


class HeartbeatSerializer(StrictSerializer):
    """A sign of life."""

    load = serializers.IntegerField(required=False, default=0, min_value=0, max_value=1_000_000)
    status = serializers.ChoiceField(
        ["idle", "busy", "draining"], required=False, default="", help_text="Without one the load says it."
    )
    tasks = serializers.ListField(
        required=False,
        default=None,
        allow_null=True,
        child=HeldSerializer(),
        max_length=MOST_AT_ONCE,
        help_text="What it works on: their leases are renewed. Without it those of all that it has claimed.",
    )


class ClaimSerializer(StrictSerializer):
    """A wish for a task."""

    wait = serializers.FloatField(
        required=False, default=0.0, min_value=0, max_value=LONGEST_WAIT, help_text="Seconds to wait for one."
    )


class FailureSerializer(StrictSerializer):
    """Why a task failed."""

    code = serializers.CharField(required=False, default="agent_failed", max_length=100)
    message = serializers.CharField(max_length=10_000)
    retryable = serializers.BooleanField(required=False, default=True)
    retry_after = serializers.FloatField(required=False, min_value=0, max_value=86_400)


class ProgressSerializer(StrictSerializer):
    """How far a task is."""

    fraction = serializers.FloatField(required=False, default=None, allow_null=True, min_value=0, max_value=1)
    message = serializers.CharField(required=False, allow_blank=True, default="", max_length=MOST_LETTERS)


class LineSerializer(StrictSerializer):
    """A line for the log of the run."""

    level = serializers.ChoiceField(["debug", "info", "warning", "error"], required=False, default="info")
    message = serializers.CharField(allow_blank=True, trim_whitespace=False)
    fields = serializers.DictField(required=False, default=dict)  # type: ignore[assignment]


class ReportSerializer(StrictSerializer):
    """What an agent tells while it works."""

    fence = serializers.IntegerField(min_value=1, max_value=2**62, help_text="As the claim gave it.")
    progress = ProgressSerializer(required=False, default=None, allow_null=True)
    lines = serializers.ListField(required=False, default=list, child=LineSerializer(), max_length=MOST_TOLD)
    first = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        min_value=0,
        max_value=2**31 - MOST_TOLD - 1,
        help_text="The number of the first line, from 0 on for each claim: told twice they are kept once.",
    )


class TaskResultSerializer(StrictSerializer):
    """How a task ended."""

    fence = serializers.IntegerField(min_value=1, max_value=2**62, help_text="As the claim gave it.")
    status = serializers.ChoiceField(["completed", "failed"])
    output = serializers.JSONField(required=False, default=None, allow_null=True)
    error = FailureSerializer(required=False)
    cost_usd = serializers.FloatField(required=False, default=0.0, min_value=0, max_value=1_000_000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a failure without a reason."""
        if attrs["status"] == "failed" and "error" not in attrs:
            raise serializers.ValidationError({"error": "Say why it failed: {'message': ...}."})
        return attrs


class InstanceSerializer(serializers.Serializer[Any]):
    """An agent process outside."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    agent = serializers.CharField()
    kind = serializers.ChoiceField(["remote"])
    description = serializers.CharField()
    capabilities = serializers.ListField(child=serializers.DictField())
    delivery = serializers.ChoiceField(["pull", "push"], help_text="Whether it fetches its tasks or is sent them.")
    endpoint = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(["idle", "busy", "draining", "disabled", "offline"])
    health = serializers.ChoiceField(["healthy", "unhealthy"])
    load = serializers.IntegerField(help_text="Tasks that it has.")
    max_concurrency = serializers.IntegerField()
    heartbeat_interval = serializers.FloatField()
    last_heartbeat = serializers.DateTimeField()
    version = serializers.CharField()
    cost = serializers.DictField()
    registered_at = serializers.DateTimeField()


class JoinedSerializer(InstanceSerializer):
    """An instance that has just registered."""

    secret = serializers.CharField(
        allow_null=True, help_text="Signs what is sent to the endpoint; told once, when it is new or was asked for."
    )


class PulseSerializer(serializers.Serializer[Any]):
    """What an instance is told."""

    state = serializers.CharField()
    mode = serializers.ChoiceField(["active", "draining", "disabled"], help_text="What people want of it.")
    withdrawn = serializers.ListField(child=serializers.UUIDField(), help_text="Tasks to stop working on.")


class RemoteTaskSerializer(serializers.Serializer[Any]):
    """A task for an agent outside."""

    id = serializers.UUIDField()
    fence = serializers.IntegerField(help_text="To be sent with the result.")
    agent = serializers.CharField()
    capability = serializers.CharField(allow_null=True)
    input = serializers.JSONField()
    config = serializers.JSONField()
    idempotency_key = serializers.CharField(help_text="The same whoever does it, however often.")
    attempt = serializers.IntegerField()
    run_id = serializers.UUIDField(allow_null=True)
    node = serializers.CharField(allow_null=True)
    lease_until = serializers.DateTimeField(help_text=f"Heartbeats renew it. Lost {MOST_LOSSES} times it fails.")


class ClaimedSerializer(serializers.Serializer[Any]):
    """A task, if there is one."""

    task = RemoteTaskSerializer(allow_null=True)
    mode = serializers.ChoiceField(["active", "draining", "disabled"])


class TakenSerializer(serializers.Serializer[Any]):
    """What became of a result."""

    id = serializers.UUIDField()
    state = serializers.CharField()


class RouteSerializer(serializers.Serializer[Any]):
    """Who would get a task, and why."""

    capability = serializers.CharField()
    chosen = serializers.CharField(allow_null=True, help_text="`agent`, or `agent/instance` of one outside.")
    agent = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    weights = serializers.DictField(child=serializers.FloatField())
    tolerance = serializers.FloatField(help_text="Whose score is this close to the best is as good.")
    candidates = serializers.ListField(child=serializers.DictField())


def instance_json(instance: AgentInstance) -> dict[str, JSON]:
    """Give an instance as the API and the commands show it."""
    is_alive = bool(getattr(instance, "is_alive", True))
    return {
        "id": str(instance.pk),
        "name": instance.name,
        "agent": instance.agent,
        "kind": RemoteAgentType(instances=[instance]).kind,
        "description": instance.description,
        "capabilities": instance.capabilities,
        "delivery": "push" if instance.endpoint else "pull",
        "endpoint": instance.endpoint or None,
        "state": selectors.state_of(instance),
        "health": "healthy" if is_alive else "unhealthy",
        "load": max(int(getattr(instance, "held", 0)), instance.load),
        "max_concurrency": instance.max_concurrency,
        "heartbeat_interval": instance.interval,
        "last_heartbeat": instance.heartbeat_at.isoformat(),
        "version": instance.version,
        "cost": {"usd_per_call": instance.usd_per_call},
        "registered_at": instance.created_at.isoformat(),
    }

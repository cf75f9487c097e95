"""`bus.publish` and `bus.request`: messages from workflows without Python, and from language models."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, JsonValue
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from apps.agents.bus import exchange as bus
from apps.agents.bus.requests import MOST_SECONDS
from apps.common.errors import Fatal
from apps.integrations.tools import ToolContext, tool

Channel = Annotated[str, Field(min_length=1, max_length=100, description="The name of the channel.")]


class Published(TypedDict):
    """Where the message is."""

    id: str
    channel: str
    seq: int


class Reply(TypedDict):
    """What somebody has answered."""

    id: str
    payload: Any
    origin: str


@tool(name="bus.publish", effect="write", repeat="keyed")
def publish(
    ctx: ToolContext,
    *,
    channel: Channel,
    payload: Annotated[JsonValue, Field(description="Any JSON of up to 64 KiB.")] = None,
    capability: Annotated[str, Field(max_length=200, description="Only for agents that can do this.")] = "",
    run: Annotated[UUID | None, Field(description="A run that waits for `event`, and goes on.")] = None,
    event: Annotated[str | None, Field(min_length=1, max_length=200, description="What that run waits for.")] = None,
) -> Published:
    """Publishes a message on a channel of the organization, exactly once however often the call is repeated."""
    if (run is None) != (event is None):
        raise Fatal("`run` and `event` go together: name both, or neither.", code="invalid_input")
    signal = bus.Signal(run, event) if run is not None and event is not None else None
    options = bus.Options(
        kind="broadcast" if channel == bus.BROADCAST else "event", capability=capability, signal=signal
    )
    message = bus.publish(channel, payload, _sender(ctx, "bus.publish"), options, idempotency_key=ctx.idempotency_key)
    return Published(id=str(message.id), channel=message.channel, seq=message.seq)


@tool(name="bus.request", effect="write", repeat="keyed")
def request(
    ctx: ToolContext,
    *,
    channel: Channel,
    payload: Annotated[JsonValue, Field(description="Any JSON of up to 64 KiB.")] = None,
    timeout: Annotated[float, Field(gt=0, le=MOST_SECONDS, description="Seconds to wait for the reply.")] = 30,
) -> Reply:
    """Asks on a channel and gives the first reply; the question is asked once however often the call is repeated."""
    sender = _sender(ctx, "bus.request")
    asked = bus.request(channel, payload, sender, timeout=timeout, idempotency_key=ctx.idempotency_key)
    answer = bus.await_reply(asked, cancelled=ctx.cancelled)
    return Reply(id=str(answer.id), payload=answer.payload, origin=answer.origin)


def _sender(ctx: ToolContext, name: str) -> bus.Sender:
    return bus.Sender(organization_id=ctx.organization_id, run_id=ctx.run_id, node=ctx.node, origin=f"tool:{name}")

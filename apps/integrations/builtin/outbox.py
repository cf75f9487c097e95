"""`outbox.send`: a mailbox to see messages in, without a mail server."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from apps.integrations.models import OutboxMessage
from apps.integrations.services import outbox
from apps.integrations.tools import ToolContext, tool


class SentMessage(TypedDict):
    """The id of the message in the outbox."""

    id: str


@tool(name="outbox.send", effect="write", repeat="keyed")
def send(
    ctx: ToolContext,
    to: Annotated[str, Field(min_length=1, max_length=OutboxMessage._meta.get_field("to").max_length)],
    subject: Annotated[str, Field(max_length=998)] = "",
    body: Annotated[str, Field(max_length=1_000_000)] = "",
) -> SentMessage:
    """Puts a message into the organization's outbox, exactly once however often the call is repeated."""
    message = outbox.send_message(to=to, subject=subject, body=body, ctx=ctx)
    return SentMessage(id=str(message.id))

"""Sending into the organization's own mailbox."""

from django_scopes import scope

from apps.integrations.models import OutboxMessage
from apps.integrations.tools import ToolContext


def send_message(*, to: str, subject: str, body: str, ctx: ToolContext) -> OutboxMessage:
    """Put a message into the outbox and give it; with a key used before, give the one sent then."""
    with scope(organization=ctx.organization_id):
        message, _ = OutboxMessage.objects.get_or_create(
            organization_id=ctx.organization_id,
            idempotency_key=ctx.idempotency_key,
            defaults={
                "run_id": ctx.run_id,
                "node": ctx.node or "",
                "to": _storable(to),
                "subject": _storable(subject),
                "body": _storable(body),
            },
        )
    return message


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()

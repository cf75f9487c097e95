"""Reading the rows of the built-in tools, in the organization in scope."""

from django.db.models import QuerySet

from apps.integrations.models import OutboxMessage


def outbox_messages(run_id: str | None = None) -> QuerySet[OutboxMessage]:
    """Give the messages of the outbox, or those of one run."""
    messages = OutboxMessage.objects.all()
    return messages.filter(run_id=run_id) if run_id else messages

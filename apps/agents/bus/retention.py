"""Messages whose time is over leave, with all that groups had to do with them."""

from collections.abc import Callable
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from apps.agents.models import ChannelMessage, Delivery

BATCH = 1000
LEAST = timedelta(days=7)  # also of what expires at once: its key keeps a new attempt from publishing it again
DEAD = timedelta(days=30)  # that a dead letter waits for somebody after the message has expired


def forget_old_messages(*, go_on: Callable[[], bool] = lambda: True) -> int:
    """Delete the messages of all organizations that nobody will read any more, in batches; give how many."""
    deleted = 0
    with scopes_disabled():
        while go_on() and (batch := list(_over().order_by("expires_at").values_list("pk", flat=True)[:BATCH])):
            ChannelMessage.objects.filter(pk__in=batch).delete()
            deleted += len(batch)
    return deleted


def _over() -> QuerySet[ChannelMessage]:
    expired = ChannelMessage.objects.filter(expires_at__lt=Now(), created_at__lt=Now() - LEAST)
    unread = Q(state=Delivery.State.PENDING, expires_at__gt=Now())
    undecided = Q(state=Delivery.State.DEAD, expires_at__gt=Now() - DEAD)
    return expired.exclude(Exists(Delivery.objects.filter(unread | undecided, message=OuterRef("pk"))))

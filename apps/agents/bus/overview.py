"""Looking at channels, their groups and messages, within the organization in scope. Nothing here is claimed."""

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from apps.agents.models import Channel, ChannelGroup, ChannelMessage, Delivery
from apps.common.errors import NotFound
from apps.common.registry import nearest

MOST_KNOWN = 200  # names among which the nearest is looked for

State = Delivery.State


def channels() -> QuerySet[Channel]:
    """Give the channels with their groups: how much each has to read (`lag`), has in hand, and has dead."""
    newest = ChannelMessage.objects.filter(channel=OuterRef("pk")).order_by("-created_at", "-id")
    return Channel.objects.annotate(last_message_at=Subquery(newest.values("created_at")[:1])).prefetch_related(
        Prefetch("groups", queryset=groups())
    )


def groups() -> QuerySet[ChannelGroup]:
    """Give the groups with their counts, each by an index of the few rows that are not settled."""
    in_hand = Q(available_at__gt=Now(), deliveries__gt=0)
    return ChannelGroup.objects.annotate(
        lag=_count(Q(state=State.PENDING)),
        in_hand=_count(Q(state=State.PENDING) & in_hand),
        dead=_count(Q(state=State.DEAD)),
    ).order_by("name")


def find_channel(name: str) -> Channel:
    """Give the channel with its counts, or raise NotFound naming the nearest one."""
    found = channels().filter(name=name).first() if "\0" not in name else None
    if found is None:
        known = Channel.objects.order_by("name").values_list("name", flat=True)[:MOST_KNOWN]
        raise NotFound(f"There is no channel '{name[:100]}'.{nearest(name, known)}", code="channel_not_found")
    return found


def messages(channel: Channel) -> QuerySet[ChannelMessage]:
    """Give the messages that a channel still has."""
    return ChannelMessage.objects.filter(channel=channel)


def _count(condition: Q) -> Coalesce:
    counted = Delivery.objects.filter(condition, group=OuterRef("pk")).order_by().values("group")
    return Coalesce(Subquery(counted.annotate(number=Count("pk")).values("number")), 0)

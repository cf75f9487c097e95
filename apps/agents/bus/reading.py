"""Reading as one of a group: claim, acknowledge, give back."""

import time
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Now
from django_scopes import scope

from apps.agents.bus import streams
from apps.agents.bus.channels import join
from apps.agents.bus.messages import LEASE_SECONDS, Message, message_of
from apps.agents.models import Delivery
from apps.common.database import release_connection
from apps.common.redaction import redact
from apps.integrations.tools import never

MOST_CHARACTERS = 1000  # of what a reader says about its failure

log = structlog.get_logger(__name__)

State = Delivery.State


class Reader:
    """One reader of a group of a channel.

    `lease` is how many seconds it has for a message before another reader may get it. `only_new` makes a group that
    did not exist begin with what is published from now on. With `capabilities`, what is meant for others is
    acknowledged unseen.
    """

    def __init__(
        self,
        organization_id: UUID,
        channel: str,
        group: str,
        *,
        lease: float = LEASE_SECONDS,
        only_new: bool = False,
        capabilities: Collection[str] | None = None,
        name: str = "",
    ) -> None:
        self.organization_id, self.channel = organization_id, channel
        self._join = partial(join, organization_id, channel, group, only_new=only_new)
        self.group = self._join()
        self.lease, self.capabilities = timedelta(seconds=lease), capabilities
        self.name = name or uuid4().hex[:8]

    def read(self, *, wait: float = 0.0, cancelled: Callable[[], bool] = never) -> Message | None:
        """Give the next message, this reader's for the lease; None when none has come within `wait` seconds."""
        ends = time.monotonic() + wait
        self._wait(0)  # what woke others for this message shall not wake them
        while (message := self._claimed()) is None:
            left = ends - time.monotonic()
            if left <= 0 or cancelled():
                return None
            self._wait(min(left, streams.LOOK_SECONDS))
            self.group = self._join()  # somebody may have deleted it
        return message

    def ack(self, message: Message) -> bool:
        """Say that the message is handled; false when it was settled already.

        Also after the lease: what is done is done, and whoever has it since then need not do it again.
        """
        return acknowledge(message)

    def release(self, message: Message, error: str = "") -> None:
        """Give the message back: the next reader gets it at once, or people when it was delivered too often."""
        with scope(organization=self.organization_id), transaction.atomic():
            mine = self._pending().filter(message=message.id, deliveries=message.deliveries)
            held: Any = mine.annotate(most=F("group__channel__max_deliveries")).select_for_update(of=("self",))
            if (row := held.first()) is None:
                return  # another reader has it by now, or it is settled
            Delivery.objects.filter(pk=row.pk).update(error=redact(error)[:MOST_CHARACTERS], available_at=Now())
            if row.deliveries >= row.most:
                self._bury(row)

    def _wait(self, seconds: float) -> None:
        if seconds:
            release_connection()
        streams.wait(self.organization_id, self.channel, self.group.name, seconds=seconds, waiting=self._waiting)

    def _waiting(self) -> list[int]:
        with scope(organization=self.organization_id):
            return list(self._pending().order_by("seq").values_list("seq", flat=True)[: streams.MOST_ENTRIES])

    def _claimed(self) -> Message | None:
        with scope(organization=self.organization_id):
            while (message := self._claim()) is not None and not self._is_meant(message):
                self.ack(message)
            return message

    def _is_meant(self, message: Message) -> bool:
        return self.capabilities is None or message.capability in {"", *self.capabilities}

    @transaction.atomic
    def _claim(self) -> Message | None:
        """Take the first message that nobody has, and settle on the way what cannot be delivered any more."""
        while (row := self._first()) is not None:
            if row.is_over:
                over = self._pending().filter(expires_at__lte=Now(), available_at__lte=Now())
                over.update(state=State.EXPIRED, settled_at=Now())
            elif row.deliveries >= row.most:
                self._bury(row)
            else:
                return self._take(row)
        return None

    def _first(self) -> Any:  # a Delivery with what is annotated
        is_over = ExpressionWrapper(Q(expires_at__lte=Now()), output_field=BooleanField())
        free = self._pending().filter(available_at__lte=Now()).select_related("message")
        free = free.annotate(is_over=is_over, most=F("group__channel__max_deliveries"))
        return free.select_for_update(skip_locked=True, of=("self",)).order_by("seq").first()

    def _pending(self) -> QuerySet[Delivery]:
        return Delivery.objects.filter(group=self.group, state=State.PENDING)

    def _take(self, row: Delivery) -> Message:
        row.deliveries += 1
        held = Delivery.objects.filter(pk=row.pk)
        held.update(deliveries=row.deliveries, reader=self.name, available_at=Now() + self.lease)
        return message_of(row.message, self.channel, row)

    def _bury(self, row: Delivery) -> None:
        Delivery.objects.filter(pk=row.pk).update(state=State.DEAD, settled_at=Now())
        log.warning(
            "A message is a dead letter.",
            action="message_dead",
            channel=self.channel,
            group=self.group.name,
            message_id=str(row.message_id),
            deliveries=row.deliveries,
        )


def acknowledge(message: Message) -> bool:
    """Say that a message is handled, for its group; false when it was settled already."""
    if message.delivery_id is None:
        return False  # looked at, and not delivered to anybody
    with scope(organization=message.organization_id):
        held = Delivery.objects.filter(pk=message.delivery_id, state=State.PENDING)
        return held.update(state=State.ACKED, settled_at=Now()) == 1

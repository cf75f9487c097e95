"""Messages that were delivered too often: a person decides what becomes of them."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.agents.bus import streams
from apps.agents.models import Delivery
from apps.common.errors import Conflict, Invalid
from apps.common.selectors import find_by_id

DECISIONS = ("redeliver", "discard")

State = Delivery.State


def dead_letters(channel: str | None = None) -> QuerySet[Delivery]:
    """Give those that nobody has decided on, within the organization in scope."""
    found = Delivery.objects.filter(state=State.DEAD).select_related("message", "group__channel")
    return found if channel is None else found.filter(group__channel__name=channel)


def decide(ref: str, decision: str, *, by: str) -> Delivery:
    """Deliver a dead letter again, as if for the first time, or discard it; the first decision counts.

    Raises NotFound for what is no delivery, and Conflict for one that is not dead (any more).
    """
    if decision not in DECISIONS:
        raise Invalid(f"A decision is one of {', '.join(DECISIONS)}.", code="invalid_decision")
    with transaction.atomic():
        letter = find_by_id(Delivery.objects.select_related("message", "group__channel"), ref)
        dead = Delivery.objects.filter(pk=letter.pk, state=State.DEAD)
        if not dead.update(**_change(decision), decided_by=by):
            raise Conflict(f"The delivery is {_state(letter)} and no dead letter any more.", code="wrong_status")
        if decision == "redeliver":
            channel = letter.group.channel
            # An entry of its seq may be in the stream still; the readers look for themselves soon.
            transaction.on_commit(lambda: streams.announce(letter.organization_id, channel.name, letter.seq))
    letter.refresh_from_db()
    return letter


def _change(decision: str) -> dict[str, object]:
    if decision == "discard":
        return {"state": State.DISCARDED, "settled_at": Now()}
    expires_at = Now() + timedelta(days=settings.ORCHESTRA_MESSAGE_DAYS)
    again = {"state": State.PENDING, "settled_at": None, "deliveries": 0, "available_at": Now()}
    return {**again, "expires_at": expires_at}


def _state(letter: Delivery) -> str:
    return Delivery.objects.values_list("state", flat=True).get(pk=letter.pk)

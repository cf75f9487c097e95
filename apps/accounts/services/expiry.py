"""Forgetting what has run out."""

from django.db.models.functions import Now
from django_scopes import scopes_disabled

from apps.accounts.models import IdempotentRequest, Invitation, RefreshToken

BATCH = 1000  # rows at a time, so that no lock is held for long


def forget_expired() -> int:
    """Delete answers, refresh tokens and invitations whose time is over, a batch of each; gives how many there were."""
    with scopes_disabled():
        return _delete_some(IdempotentRequest) + _delete_some(RefreshToken) + _delete_some(Invitation)


def _delete_some(model: type[IdempotentRequest] | type[RefreshToken] | type[Invitation]) -> int:
    over = model._default_manager.filter(expires_at__lt=Now()).order_by("expires_at").values_list("pk", flat=True)
    deleted, _ = model._default_manager.filter(pk__in=list(over[:BATCH])).delete()
    return deleted

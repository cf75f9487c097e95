from datetime import timedelta

from django.db.models.functions import Now
from django_scopes import scopes_disabled

from apps.accounts.models import IdempotentRequest, RefreshToken
from apps.accounts.services.expiry import forget_expired
from apps.accounts.services.sign_in import sign_in
from tests.fixtures import PASSWORD


def test_what_has_run_out_is_forgotten_and_nothing_else(alice):
    for key in ("old", "new"):
        alice.client.post("/v1/api-keys", {"name": key}, format="json", headers={"Idempotency-Key": key})
        sign_in(username="alice", password=PASSWORD, address="x")
    with scopes_disabled():
        IdempotentRequest.objects.filter(key="old").update(expires_at=Now() - timedelta(seconds=1))
        RefreshToken.objects.filter(pk=RefreshToken.objects.earliest("id").pk).update(
            expires_at=Now() - timedelta(seconds=1)
        )

    assert forget_expired() == 2
    assert forget_expired() == 0

    with scopes_disabled():
        assert [kept.key for kept in IdempotentRequest.objects.all()] == ["new"]
    assert RefreshToken.objects.count() == 1

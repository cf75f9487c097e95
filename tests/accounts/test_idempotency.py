import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.urls import path
from django_scopes import scope, scopes_disabled
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import idempotent, run_once
from apps.accounts.models import ApiKey, IdempotentRequest
from apps.accounts.services.keys import create_key
from apps.common.database import release_connection
from apps.common.errors import Conflict
from tests.fixtures import client_with

KEYS = "/v1/api-keys"


class ActView(OrganizationView):
    """Does something that can be counted, and fails on demand."""

    def post(self, request):
        def work():
            create_key(organization=self.access.organization, name=request.data["name"])
            if request.data["name"] == "raise":
                raise Conflict("Not now.")
            return (409 if request.data["name"] == "answer" else 202), {"z": 1, "a": request.data["name"]}

        return run_once(request, work)


class DecoratedView(OrganizationView):
    @idempotent
    def post(self, _request):
        key = create_key(organization=self.access.organization, name="decorated").key
        return Response({"id": str(key.pk)}, 201)


urlpatterns = [path("v1/act", ActView.as_view()), path("v1/decorated", DecoratedView.as_view())]

pytestmark = pytest.mark.urls("tests.accounts.test_idempotency")


def act(actor, name="x", key="k1", path="/v1/act"):
    headers = {} if key is None else {"Idempotency-Key": key}
    return actor.client.post(path, {"name": name}, format="json", headers=headers)


def acts(organization) -> int:
    with scope(organization=organization):
        return ApiKey.objects.filter(name__in=["x", "y", "raise", "answer", "decorated"]).count()


def test_a_repeated_request_gets_the_first_answer(alice):
    first, second = act(alice), act(alice)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert acts(alice.organization) == 1


def test_without_a_key_every_request_counts(alice):
    act(alice, key=None)
    act(alice, key=None)

    assert acts(alice.organization) == 2


def test_a_decorated_handler_is_idempotent(alice):
    first, second = act(alice, path="/v1/decorated"), act(alice, path="/v1/decorated")

    assert first.content == second.content
    assert acts(alice.organization) == 1


def test_the_same_key_for_another_body_is_refused(alice):
    act(alice, "x")

    answer = act(alice, "y")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_the_same_key_for_another_address_is_refused(alice):
    act(alice)

    assert act(alice, path="/v1/decorated").json()["code"] == "idempotency_key_reused"


def test_organizations_do_not_share_keys(alice, charlie):
    act(alice)
    answer = act(charlie)

    assert "Idempotent-Replayed" not in answer
    assert acts(charlie.organization) == 1


@pytest.mark.parametrize("name", ["raise", "answer"])
def test_a_failure_is_rolled_back_and_not_remembered(alice, name):
    answers = [act(alice, name), act(alice, name)]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert "Idempotent-Replayed" not in answers[1]
    assert acts(alice.organization) == 0


def test_after_a_day_the_key_is_free_again(alice):
    act(alice, "x")
    with scopes_disabled():
        IdempotentRequest.objects.update(expires_at=Now() - timedelta(seconds=1))

    answer = act(alice, "y")

    assert answer.status_code == 202
    assert act(alice, "y")["Idempotent-Replayed"] == "true"
    assert acts(alice.organization) == 2


def test_an_answer_is_kept_for_a_day(alice):
    act(alice)

    with scopes_disabled():
        kept = IdempotentRequest.objects.get()
    assert timedelta(hours=23) < kept.expires_at - kept.created_at < timedelta(hours=25)


@pytest.mark.parametrize("key", ["", "a" * 256, "with space", "tab\t", "ümlaut", "a\x7f"])
def test_a_senseless_key_is_refused(alice, key):
    answer = act(alice, key=key)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")


@pytest.mark.parametrize("key", ["a", "a" * 255, "!~"])
def test_any_visible_key_is_taken(alice, key):
    assert act(alice, key=key).status_code == 202


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_do_it_once(alice):
    together = threading.Barrier(50)

    def ask(_):
        client = client_with(alice.secret)
        release_connection()
        together.wait()
        try:
            return client.post("/v1/act", {"name": "x"}, format="json", headers={"Idempotency-Key": "k1"})
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(ask, range(50)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum(answer.get("Idempotent-Replayed") == "true" for answer in answers) == 49
    assert acts(alice.organization) == 1


@pytest.mark.urls("orchestra.urls")
def test_a_secret_is_not_shown_or_kept_a_second_time(alice):
    headers = {"Idempotency-Key": "k1"}
    first = alice.client.post(KEYS, {"name": "new"}, format="json", headers=headers).json()
    second = alice.client.post(KEYS, {"name": "new"}, format="json", headers=headers).json()

    assert first["secret"].startswith("ork_live_")
    assert second == {**first, "secret": None}
    with scopes_disabled():
        assert first["secret"] not in IdempotentRequest.objects.get().response

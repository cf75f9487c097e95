from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection
from django_scopes import scope, scopes_disabled

from apps.accounts.models import Organization
from apps.common.errors import Fatal
from apps.integrations.models import OutboxMessage
from apps.integrations.services import invoke
from apps.integrations.tools import ToolContext


def send(organization, key="run:node:1:0:1", **given):
    ctx = ToolContext(organization_id=organization.id, idempotency_key=key, run_id=uuid4(), node="welcome")
    return invoke("outbox.send", {"to": "ana@example.com", "subject": "Hello", "body": "Welcome.", **given}, ctx)


@pytest.fixture
def acme(db):
    return Organization.objects.create(name="Acme", slug="acme-outbox")


@pytest.fixture
def globex(db):
    return Organization.objects.create(name="Globex", slug="globex-outbox")


def test_a_message_is_in_the_outbox(acme):
    output = send(acme)

    with scope(organization=acme):
        message = OutboxMessage.objects.get()
    assert output == {"id": str(message.id)}
    assert (message.to, message.subject, message.body, message.node) == (
        "ana@example.com",
        "Hello",
        "Welcome.",
        "welcome",
    )


def test_the_same_call_again_sends_nothing_more(acme):
    first = send(acme)
    second = send(acme, subject="Changed")

    with scope(organization=acme):
        assert [message.subject for message in OutboxMessage.objects.all()] == ["Hello"]
    assert first == second


def test_another_call_sends_another_message(acme):
    send(acme, key="run:node:1:0:1")
    send(acme, key="run:node:2:0:1")

    with scope(organization=acme):
        assert OutboxMessage.objects.count() == 2


def test_one_key_in_two_organizations_is_two_messages(acme, globex):
    send(acme)
    send(globex)

    with scope(organization=globex):
        assert OutboxMessage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_at_once_send_one():
    organization = Organization.objects.create(name="Many", slug="many-outbox")

    def send_and_close(_):
        try:
            return send(organization)["id"]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(send_and_close, range(16)))

    assert len(ids) == 1
    with scopes_disabled():
        assert OutboxMessage.objects.count() == 1


def test_what_postgres_cannot_store_is_replaced(acme):
    send(acme, body="a\x00b", subject="\u2603")

    with scope(organization=acme):
        assert OutboxMessage.objects.get().body == "a\ufffdb"


@pytest.mark.parametrize("given", [{"to": ""}, {"to": "x" * 321}, {"subject": "x" * 999}])
def test_what_does_not_fit_is_refused(acme, given):
    with pytest.raises(Fatal) as caught:
        send(acme, **given)

    assert caught.value.code == "invalid_input"

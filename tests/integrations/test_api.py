from uuid import uuid4

import pytest
from django_scopes import scope

from apps.integrations import registry
from apps.integrations.models import OutboxMessage
from tests.fixtures import client_with
from tests.integrations.servers import Answer, holding, serving

MESSAGE = {"to": "ana@example.com", "subject": "Hello", "body": "Welcome."}


def invoke(actor, name, given=None, **headers):
    body = {} if given is None else {"input": given}
    return actor.client.post(f"/v1/tools/{name}/invoke", body, format="json", headers=headers)


@pytest.fixture
def message(in_scope):
    return OutboxMessage.objects.create(organization=in_scope, idempotency_key="k", run_id=uuid4(), **MESSAGE)


def test_tools_are_listed_with_their_schemas(bob):
    items = bob.client.get("/v1/tools").json()["items"]

    by_name = {item["name"]: item for item in items}
    assert list(by_name) == [tool.name for tool in registry.all()]
    assert by_name["http.request"]["input_schema"]["required"] == ["url"]
    assert by_name["http.request"]["effect"] == "external_write"
    assert by_name["outbox.send"]["output_schema"]["required"] == ["id"]


def test_tools_are_filtered_by_effect(bob):
    items = bob.client.get("/v1/tools?effect=write").json()["items"]

    assert [item["name"] for item in items] == ["bus.publish", "bus.request", "outbox.send"]


@pytest.mark.parametrize("query", ["effect=none", "limit=201", "x=1"])
def test_a_wrong_query_is_malformed(bob, query):
    assert bob.client.get(f"/v1/tools?{query}").status_code == 400


def test_an_unknown_tool_is_not_found_and_the_nearest_is_named(alice):
    for answer in (alice.client.get("/v1/tools/outbox.sent"), invoke(alice, "outbox.sent", {})):
        assert answer.status_code == 404
        assert "Did you mean 'outbox.send'?" in answer.json()["detail"]


@pytest.mark.django_db(transaction=True)
def test_a_tool_is_invoked(alice):
    answer = invoke(alice, "outbox.send", MESSAGE)

    body = answer.json()
    assert (body["status"], body["tool"], body["error"]) == ("completed", "outbox.send", None)
    with scope(organization=alice.organization):
        assert str(OutboxMessage.objects.get().pk) == body["output"]["id"]


@pytest.mark.django_db(transaction=True)
def test_a_repeated_invocation_sends_once(alice):
    answers = [invoke(alice, "outbox.send", MESSAGE, **{"Idempotency-Key": "one"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    with scope(organization=alice.organization):
        assert OutboxMessage.objects.count() == 1


def test_wrong_input_says_where(alice):
    answer = invoke(alice, "outbox.send", {"too": "x"})

    assert answer.status_code == 422
    assert {item["pointer"] for item in answer.json()["errors"]} == {"/input/to", "/input/too"}


@pytest.mark.parametrize("body", [{"inpt": {}}, [], {"timeout": 0}])
def test_a_wrong_body_is_malformed(alice, body):
    assert alice.client.post("/v1/tools/outbox.send/invoke", body, format="json").status_code == 400


def test_the_network_is_guarded_here_too(alice):
    answer = invoke(alice, "http.request", {"url": "http://169.254.169.254/latest/meta-data/"})

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["error"]["code"]) == ("failed", "egress_refused")


def test_a_failure_says_whether_trying_again_may_help(alice, settings):
    with serving(lambda _: Answer(503, {"Retry-After": "9"}, b"busy")) as server:
        settings.ORCHESTRA_EGRESS_ALLOW = frozenset({server.address})

        error = invoke(alice, "http.request", {"url": server.url}).json()["error"]

    assert (error["code"], error["retryable"], error["retry_after"]) == ("http_503", True, 9)


def test_a_slow_tool_is_stopped_in_time(alice, settings):
    with holding() as held, serving(held) as server:
        settings.ORCHESTRA_EGRESS_ALLOW = frozenset({server.address})

        answer = alice.client.post(
            "/v1/tools/http.request/invoke", {"input": {"url": server.url}, "timeout": 0.3}, format="json"
        )

        assert answer.json()["error"]["code"] == "timeout"


def test_invoking_needs_the_right_to_run(bob, expired):
    assert invoke(bob, "outbox.send", MESSAGE).status_code == 403
    assert expired.post("/v1/tools/outbox.send/invoke", {}, format="json").status_code == 401
    assert client_with(None).get("/v1/tools").status_code == 401


def test_the_outbox_shows_what_was_sent(bob, message):
    items = bob.client.get("/v1/outbox").json()["items"]

    assert [item["subject"] for item in items] == ["Hello"]
    assert items[0]["run_id"] == str(message.run_id)


def test_the_outbox_is_filtered_by_run(bob, message):
    mine = bob.client.get(f"/v1/outbox?run_id={message.run_id}").json()["items"]
    other = bob.client.get(f"/v1/outbox?run_id={uuid4()}").json()["items"]

    assert (len(mine), other) == (1, [])
    assert bob.client.get("/v1/outbox?run_id=x").status_code == 400


def test_one_message_is_shown_to_its_organization_only(guard, message):
    assert guard("get", f"/v1/outbox/{message.pk}").json()["to"] == "ana@example.com"


def test_another_organization_s_outbox_is_empty(charlie, message):
    assert charlie.client.get("/v1/outbox").json()["items"] == []

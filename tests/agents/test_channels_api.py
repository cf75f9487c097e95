"""Channels over HTTP, as owner, as viewer and as somebody of another organization."""

from uuid import uuid4

import pytest

from apps.agents.bus import exchange as bus

ORDER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}, "title": "order"}


def publish(actor, payload, channel="orders", headers=None, **fields):
    body = {"payload": payload, **fields}
    return actor.client.post(f"/v1/channels/{channel}/messages", body, format="json", headers=headers)


def reader(actor, group="billing"):
    return bus.Reader(actor.organization.pk, "orders", group)


@pytest.fixture
def letter(alice):
    """A message that a group could not handle."""
    bus.declare(alice.organization.pk, "orders", max_deliveries=1)
    publish(alice, {"id": 7})
    billing = reader(alice)
    billing.release(billing.read(), "The till is broken.")
    return alice.client.get("/v1/dead-letters").json()["items"][0]


def test_publishing_gives_the_message_and_a_group_reads_it(alice):
    answer = publish(alice, {"id": 7})

    assert answer.status_code == 201
    message = answer.json()
    assert (message["channel"], message["seq"], message["kind"], message["payload"]) == (
        "orders",
        1,
        "event",
        {"id": 7},
    )
    assert message["origin"].startswith("key:ork_live_")
    assert str(reader(alice).read().id) == message["id"]


def test_a_viewer_looks_and_publishes_nothing(alice, bob):
    publish(alice, 1)

    assert publish(bob, 2).status_code == 403
    assert bob.client.get("/v1/channels/orders/messages").json()["items"][0]["payload"] == 1


def test_another_organization_has_channels_of_its_own(alice, charlie):
    publish(alice, "ours")

    assert charlie.client.get("/v1/channels").json()["items"] == []
    assert charlie.client.get("/v1/channels/orders/messages").status_code == 404
    assert publish(charlie, "theirs").json()["seq"] == 1
    assert [one["payload"] for one in alice.client.get("/v1/channels/orders/messages").json()["items"]] == ["ours"]


def test_an_idempotency_key_publishes_once(alice):
    first = publish(alice, 1, headers={"Idempotency-Key": "k"})
    again = publish(alice, 1, headers={"Idempotency-Key": "k"})
    other = publish(alice, 2, headers={"Idempotency-Key": "k"})

    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_the_channels_are_listed_with_what_their_groups_have_to_read(alice, guard):
    publish(alice, 1, channel="alarms")
    billing = reader(alice)
    publish(alice, 1)
    publish(alice, 2)
    billing.ack(billing.read())
    billing.read()

    alarms, orders = alice.client.get("/v1/channels").json()["items"]

    assert (alarms["name"], alarms["published"], alarms["groups"]) == ("alarms", 1, [])
    assert (orders["published"], orders["groups"]) == (
        2,
        [{"name": "billing", "lag": 1, "in_hand": 1, "dead_letters": 0}],
    )
    assert guard("get", "/v1/channels/orders").json() == orders


def test_a_list_of_channels_costs_the_same_however_many_there_are(alice, django_assert_max_num_queries):
    for number in range(12):
        bus.Reader(alice.organization.pk, f"channel-{number}", "group")

    with django_assert_max_num_queries(8):
        assert len(alice.client.get("/v1/channels").json()["items"]) == 12


def test_messages_come_in_pages_the_newest_first(alice):
    for number in range(5):
        publish(alice, number)

    first = alice.client.get("/v1/channels/orders/messages?limit=3").json()
    second = alice.client.get(f"/v1/channels/orders/messages?limit=3&cursor={first['next_cursor']}").json()

    assert [one["payload"] for page in (first, second) for one in page["items"]] == [4, 3, 2, 1, 0]
    assert alice.client.get("/v1/channels/orders/messages?kind=reply").json()["items"] == []


def test_a_channel_is_declared_and_then_refuses_what_does_not_fit(alice, bob):
    wanted = {"schema": ORDER, "description": "What was ordered."}
    assert bob.client.put("/v1/channels/orders", wanted, format="json").status_code == 403

    declared = alice.client.put("/v1/channels/orders", wanted, format="json").json()
    refused = publish(alice, {"id": "seven"})

    assert (declared["schema_name"], declared["schema"], declared["max_deliveries"]) == ("order", ORDER, 5)
    assert refused.status_code == 422
    assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [("/payload/id", "schema_mismatch")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"schema": {"type": "nonsense"}}, "/schema"),
        ({"schema": 3}, "/schema"),
        ({"max_deliveries": 0}, "/max_deliveries"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(alice, body, pointer):
    answer = alice.client.put("/v1/channels/orders", body, format="json")

    assert answer.status_code in {400, 422}
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert alice.client.get("/v1/channels/orders").status_code == 404


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"payload": "x" * 70_000}, "/payload"),
        ({"kind": "request"}, "/kind"),
        ({"kind": "reply"}, "/correlation_id"),
        ({"signal": {"run": "7"}}, "/signal/run"),
        ({"expires_in": -1}, "/expires_in"),
        ({"paylod": 1}, "/paylod"),
    ],
)
def test_a_wrong_message_is_refused_with_its_place(alice, fields, pointer):
    answer = publish(alice, fields.pop("payload", 1), **fields)

    assert answer.status_code in {400, 422}
    assert pointer in [one["pointer"] for one in answer.json()["errors"]]


def test_a_wrong_name_is_refused(alice):
    answer = publish(alice, 1, channel="-x")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/channel")
    assert alice.client.get("/v1/channels/order").status_code == 404


def test_somebody_outside_answers_a_request(alice):
    sender = bus.Sender(organization_id=alice.organization.pk)
    asked = bus.request("prices", {"of": "tea"}, sender, timeout=30)
    (seen,) = alice.client.get("/v1/channels/prices/messages?kind=request").json()["items"]

    publish(alice, 3, channel=seen["reply_to"], kind="reply", correlation_id=seen["id"])

    assert bus.await_reply(asked).payload == 3


def test_a_signal_for_a_run_of_nobody_is_refused(alice):
    answer = publish(alice, 1, signal={"run": str(uuid4()), "event": "paid"})

    assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")


def test_a_dead_letter_is_delivered_again(alice, letter):
    assert (letter["channel"], letter["group"], letter["error"]) == ("orders", "billing", "The till is broken.")
    assert letter["message"]["payload"] == {"id": 7}

    answer = alice.client.post(f"/v1/dead-letters/{letter['id']}", {"decision": "redeliver"}, format="json")

    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    assert reader(alice).read().payload == {"id": 7}
    assert alice.client.get("/v1/dead-letters?channel=orders").json()["items"] == []


def test_a_dead_letter_is_decided_once_and_by_who_may(letter, guard, alice):
    path = f"/v1/dead-letters/{letter['id']}"

    answer = guard("post", path, {"decision": "discard"}, needs="run")
    again = alice.client.post(path, {"decision": "discard"}, format="json")

    assert (answer.json()["state"], answer.json()["decided_by"][:4]) == ("discarded", "key:")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_status")


def test_a_decision_that_is_none_is_refused(alice, letter):
    answer = alice.client.post(f"/v1/dead-letters/{letter['id']}", {"decision": "burn"}, format="json")

    assert answer.status_code == 400


def test_a_group_that_nobody_reads_in_is_deleted_and_made_again_by_a_reader(alice, guard):
    billing = reader(alice)
    publish(alice, 1)
    billing.ack(billing.read())

    guard("delete", "/v1/channels/orders/groups/billing", needs="edit")

    assert alice.client.delete("/v1/channels/orders/groups/billing").status_code == 404
    assert billing.read() is None
    assert alice.client.get("/v1/channels/orders").json()["groups"] == []
    assert billing.read(wait=2).payload == 1, "a new group has all messages that there are"


def test_a_channel_is_deleted_with_its_messages(alice, guard):
    reader(alice)
    publish(alice, 1)

    guard("delete", "/v1/channels/orders", needs="edit")

    assert alice.client.get("/v1/channels").json()["items"] == []
    assert publish(alice, 2).json()["seq"] == 1

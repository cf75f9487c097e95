"""The pages of channels, as people use them, and the command."""

import html
import json
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.agents.bus import exchange as bus
from apps.agents.models import Delivery
from apps.common.errors import Invalid, NotFound

HTMX = {"HX-Request": "true"}


def text(response):
    return html.unescape(re.sub(r"\s+", " ", response.content.decode()))


@pytest.fixture
def sender(organization):
    return bus.Sender(organization_id=organization.pk, origin="user:alice")


@pytest.fixture
def letter(in_scope, sender):
    """A message that a group could not handle."""
    bus.declare(in_scope.pk, "orders", max_deliveries=1)
    billing = bus.Reader(in_scope.pk, "orders", "billing")
    bus.publish("orders", {"id": 7, "password": "hunter2"}, sender)
    billing.release(billing.read(), "The till is broken.")
    return Delivery.objects.get()


def test_the_list_shows_what_there_is_and_how_far_readers_are_behind(browser, organization, sender):
    bus.Reader(organization.pk, "orders", "billing")
    bus.publish("orders", 1, sender)

    page = text(browser.viewer.get("/channels"))
    part = text(browser.viewer.get("/channels", headers=HTMX))

    assert 'href="/channels/orders"' in page
    assert 'hx-trigger="every 5s"' in page
    assert "billing" in part
    assert "<html" not in part


def test_without_channels_the_list_says_how_one_comes_to_be(browser):
    assert "No channels yet" in text(browser.owner.get("/channels"))


def test_a_channel_shows_its_groups_and_last_messages_without_secrets(browser, letter):
    page = text(browser.viewer.get("/channels/orders"))
    part = text(browser.viewer.get("/channels/orders", headers=HTMX))

    for shown in (page, part):
        assert '{"id":7,"password":"***"}' in shown
        assert "The till is broken." in shown
        assert "hunter2" not in shown
    assert "Discard" not in page
    assert "<html" not in part


def test_a_person_has_a_dead_letter_delivered_again(browser, letter):
    path = f"/channels/orders/dead-letters/{letter.pk}"

    answer = browser.owner.post(path, {"decision": "redeliver"}, follow=True)

    assert "Delivered again." in text(answer)
    letter.refresh_from_db()
    assert (letter.state, letter.deliveries, letter.decided_by) == ("pending", 0, "user:alice")
    assert browser.owner.post(path, {"decision": "redeliver"}).status_code == 409


def test_a_decision_that_is_none_is_refused(browser, letter):
    assert browser.owner.post(f"/channels/orders/dead-letters/{letter.pk}", {"decision": "burn"}).status_code == 400


def test_a_viewer_decides_nothing_and_a_stranger_sees_nothing(browser, letter):
    path = f"/channels/orders/dead-letters/{letter.pk}"

    assert browser.viewer.post(path, {"decision": "discard"}).status_code == 403
    assert browser.stranger.post(path, {"decision": "discard"}).status_code == 404
    assert browser.stranger.get("/channels/orders").status_code == 404
    assert "orders" not in text(browser.stranger.get("/channels")).partition("<main")[2]


# ---- the command -----------------------------------------------------------------------------------


def manage(*args):
    out = StringIO()
    call_command("bus", *args, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_command_publishes_lists_and_shows(organization):
    published = json.loads(manage("publish", "orders", '{"id": 7, "token": "x"}', "--json"))
    bus.Reader(organization.pk, "orders", "billing")

    assert (published["seq"], published["origin"]) == (1, "command")
    assert manage("channels").split()[-5:] == ["orders", "1", "1", "1", "0"]
    assert '1  event  {"id":7,"token":"***"}' in manage("tail", "orders")
    assert json.loads(manage("tail", "orders", "--json"))["payload"] == {"id": 7, "token": "x"}
    assert manage("tail", "orders", "--limit", "0") == ""


def test_the_command_follows_what_comes(organization, sender, monkeypatch):
    bus.publish("orders", "first", sender)
    coming = iter(["second", "third"])

    def wait(*_, **__):
        payload = next(coming, None)
        if payload is None:
            raise KeyboardInterrupt
        bus.publish("orders", payload, sender)

    monkeypatch.setattr("apps.agents.bus.streams.wait_for_news", wait)
    out = StringIO()
    with pytest.raises(KeyboardInterrupt):
        call_command("bus", "tail", "orders", "--follow", stdout=out)

    assert re.findall(r'"(\w+)"', out.getvalue()) == ["first", "second", "third"]


def test_the_command_says_what_is_wrong(organization):
    with pytest.raises(NotFound, match="There is no channel 'orders'"):
        manage("tail", "orders")
    with pytest.raises(Invalid, match="cannot be the name of a channel"):
        manage("publish", "a/b", "1")
    with pytest.raises(CommandError):
        manage("nonsense")


# ---- publishing -----------------------------------------------------------------------------------


def test_a_message_is_published_on_the_page_and_every_group_gets_it(browser, organization, sender):
    billing = bus.Reader(organization.pk, "orders", "billing")

    page = text(browser.owner.post("/channels/orders/publish", {"payload": '{"id": 8}'}, follow=True))

    assert "Message 1 is on the channel." in page
    assert billing.read().payload == {"id": 8}


@pytest.mark.parametrize(
    ("payload", "words"),
    [("", "JSON"), ("{id: 8}", "JSON"), ('{"id": "x"}', "/id"), ('"a"', "object"), ("[" * 5000, "nested")],
)
def test_what_does_not_fit_is_told_and_stays_in_the_form(browser, in_scope, payload, words):
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    bus.declare(in_scope.pk, "orders", schema=schema)

    answer = browser.owner.post("/channels/orders/publish", {"payload": payload})
    page = text(answer)

    assert answer.status_code == 422
    assert words in answer.context["fault"]
    assert payload in page
    assert "Nothing is kept here" in page


def test_a_form_makes_no_channel(browser):
    assert browser.owner.post("/channels/ordres/publish", {"payload": "1"}).status_code == 404


def test_who_may_only_look_publishes_nothing(browser, organization, sender):
    bus.declare(organization.pk, "orders")

    assert "Publish a message" not in text(browser.viewer.get("/channels/orders"))
    assert browser.viewer.post("/channels/orders/publish", {"payload": "1"}).status_code == 403
    assert browser.stranger.post("/channels/orders/publish", {"payload": "1"}).status_code == 404
    assert "Nothing is kept here" in text(browser.owner.get("/channels/orders"))


def test_a_channel_is_made_before_its_first_message(browser, in_scope):
    assert 'href="/new-channel"' in text(browser.owner.get("/channels"))

    page = text(browser.owner.post("/new-channel", {"name": "orders", "description": "What is bought."}, follow=True))

    assert "There is a channel 'orders' now." in page
    assert "What is bought." in page
    assert "What is bought." not in text(browser.stranger.get("/channels"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "required"), ("my orders", "cannot be the name"), ("x" * 101, "at most 100"), ("orders", "already")],
)
def test_a_name_that_cannot_be_is_told_at_its_field(browser, in_scope, name, words):
    bus.declare(in_scope.pk, "orders", description="What is bought.")

    answer = browser.owner.post("/new-channel", {"name": name, "description": "Else."})

    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors["name"])
    assert "Else." in text(answer)
    assert "What is bought." in text(browser.owner.get("/channels/orders"))


def test_who_may_only_look_makes_no_channel(browser):
    assert "New channel" not in text(browser.viewer.get("/channels"))
    assert browser.viewer.get("/new-channel").status_code == 403
    assert browser.viewer.post("/new-channel", {"name": "orders"}).status_code == 403
    assert browser.stranger.post("/new-channel", {"name": "orders"}).status_code == 302
    assert browser.owner.get("/channels/orders").status_code == 404

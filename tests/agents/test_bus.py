"""What the message bus promises to each group of readers."""

from collections import Counter
from datetime import timedelta
from itertools import count
from uuid import uuid4

import pytest
from django.db.models import F
from django_scopes import scope
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.agents.bus import exchange as bus
from apps.agents.bus import overview
from apps.agents.bus.dead_letters import dead_letters, decide
from apps.agents.bus.messages import message_in
from apps.agents.bus.retention import forget_old_messages
from apps.agents.models import ChannelMessage, Delivery
from apps.common.errors import Conflict, Fatal, NotFound
from apps.common.validation import InvalidInput

ORDER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}, "title": "order"}


@pytest.fixture
def sender(organization):
    return bus.Sender(organization_id=organization.pk, origin="test")


@pytest.fixture
def other_sender(other_organization):
    return bus.Sender(organization_id=other_organization.pk, origin="test")


def reader(organization, group="billing", channel="orders", **options):
    return bus.Reader(organization.pk, channel, group, **options)


def payloads(one, *, ack=True):
    """What a reader gets until nothing is left."""
    found = []
    while (message := one.read()) is not None:
        found.append(message.payload)
        if ack:
            one.ack(message)
    return found


def end_leases():
    """As if the time of everybody who has a message were over."""
    Delivery.objects.filter(state="pending").update(available_at=F("created_at") - timedelta(seconds=1))


# ---- who gets what ---------------------------------------------------------------------------------


def test_each_group_gets_each_message_in_order(organization, sender):
    billing, shipping = reader(organization), reader(organization, "shipping")

    for number in range(5):
        bus.publish("orders", number, sender)

    assert payloads(billing) == payloads(shipping) == [0, 1, 2, 3, 4]


def test_readers_of_a_group_share_the_messages(organization, sender):
    first, second = reader(organization), reader(organization)
    for number in range(4):
        bus.publish("orders", number, sender)

    taken = [one.read().payload for one in (first, second, first, second)]

    assert taken == [0, 1, 2, 3]
    assert first.read() is None


def test_a_group_that_comes_later_reads_what_is_there_or_only_what_comes(organization, sender):
    bus.publish("orders", "before", sender)

    everything, only_new = reader(organization), reader(organization, "late", only_new=True)
    bus.publish("orders", "after", sender)

    assert payloads(everything) == ["before", "after"]
    assert payloads(only_new) == ["after"]


def test_a_broadcast_is_for_everybody_or_for_those_with_a_capability(organization, sender):
    able = reader(organization, "able", bus.BROADCAST, capabilities=["greet"])
    unable = reader(organization, "unable", bus.BROADCAST, capabilities=[])

    bus.publish(bus.BROADCAST, "all", sender, bus.Options(kind="broadcast"))
    bus.publish(bus.BROADCAST, "some", sender, bus.Options(kind="broadcast", capability="greet"))

    assert payloads(able) == ["all", "some"]
    assert payloads(unable) == ["all"]


def test_another_organization_sees_nothing_and_cannot_publish_into_it(
    organization, other_organization, sender, other_sender
):
    ours, theirs = reader(organization), reader(other_organization)

    bus.publish("orders", "ours", sender)
    bus.publish("orders", "theirs", other_sender)

    assert payloads(ours) == ["ours"]
    assert payloads(theirs) == ["theirs"]


def test_a_message_says_where_it_comes_from(organization, sender):
    first = bus.publish("orders", 1, sender)
    told = bus.Sender(organization_id=organization.pk, run_id=uuid4(), node="n", origin="agent:x")
    options = bus.Options(correlation_id=first.id, causation_id=first.id)

    bus.publish("orders", 2, told, options)

    one = reader(organization)
    assert one.read().origin == "test"
    message = one.read()
    assert (message.run_id, message.node, message.origin) == (told.run_id, "n", "agent:x")
    assert (message.correlation_id, message.causation_id, message.seq) == (first.id, first.id, 2)
    assert message_in(message.as_record()) == message


# ---- what is delivered again, and what is not ------------------------------------------------------


def test_what_is_acknowledged_is_not_delivered_again(in_scope, sender):
    one = reader(in_scope)
    bus.publish("orders", "x", sender)
    message = one.read()

    assert one.ack(message)
    end_leases()

    assert one.read() is None
    assert not one.ack(message)


def test_a_reader_that_never_acknowledges_loses_the_message_to_another(in_scope, sender):
    dead, living = reader(in_scope), reader(in_scope)
    bus.publish("orders", "x", sender)
    lost = dead.read()
    assert living.read() is None, "it is the first one's for the lease"

    end_leases()
    again = living.read()

    assert (again.id, again.deliveries) == (lost.id, 2)


def test_what_a_reader_gives_back_comes_at_once_and_before_what_is_younger(organization, sender):
    one = reader(organization)
    bus.publish("orders", 1, sender)
    bus.publish("orders", 2, sender)

    one.release(one.read(), "Not now.")

    assert payloads(one) == [1, 2]


def test_a_reader_whose_lease_is_over_does_not_take_the_message_from_the_next(in_scope, sender):
    slow, quick = reader(in_scope), reader(in_scope)
    bus.publish("orders", "x", sender)
    slow_one = slow.read()
    end_leases()
    quick.read()

    slow.release(slow_one, "Too late.")

    assert slow.read() is None


def test_a_message_delivered_too_often_is_a_dead_letter_for_people(in_scope, sender):
    bus.declare(in_scope.pk, "orders", max_deliveries=2)
    one = reader(in_scope)
    bus.publish("orders", "poison", sender)
    bus.publish("orders", "good", sender)

    one.release(one.read(), "It broke: Bearer abcdefghijkl")
    one.release(one.read(), "It broke: Bearer abcdefghijkl")

    assert payloads(one) == ["good"]
    (letter,) = dead_letters("orders")
    assert (letter.deliveries, letter.error) == (2, "It broke: Bearer ***")


def test_readers_that_die_make_a_dead_letter_too(in_scope, sender):
    bus.declare(in_scope.pk, "orders", max_deliveries=2)
    one = reader(in_scope)
    bus.publish("orders", "poison", sender)
    for _ in range(2):
        one.read()
        end_leases()

    assert one.read() is None

    assert dead_letters().count() == 1


def test_a_dead_letter_is_delivered_again_or_discarded_once(in_scope, sender):
    bus.declare(in_scope.pk, "orders", max_deliveries=1)
    one = reader(in_scope)
    for payload in ("again", "never"):
        bus.publish("orders", payload, sender)
        one.release(one.read(), "No.")
    again, never = dead_letters().order_by("seq")

    decide(str(again.pk), "redeliver", by="user:alice")
    decide(str(never.pk), "discard", by="user:alice")

    assert payloads(one) == ["again"]
    with pytest.raises(Conflict, match="discarded"):
        decide(str(never.pk), "redeliver", by="user:alice")


def test_a_message_that_expired_is_not_delivered(in_scope, sender):
    one = reader(in_scope)
    bus.publish("orders", "old", sender, bus.Options(expires_in=0))
    bus.publish("orders", "new", sender)

    assert payloads(one) == ["new"]
    assert Delivery.objects.filter(state="expired").count() == 1


def test_an_idempotency_key_publishes_once(organization, other_sender, sender):
    one = reader(organization)

    first = bus.publish("orders", 1, sender, idempotency_key="run:node:1")
    second = bus.publish("orders", "another time", sender, idempotency_key="run:node:1")
    bus.publish("orders", 1, other_sender, idempotency_key="run:node:1")

    assert second == first
    assert payloads(one) == [1]


# ---- what is refused -------------------------------------------------------------------------------


def test_a_payload_that_does_not_fit_the_schema_is_refused_with_the_place(organization, sender):
    bus.declare(organization.pk, "orders", schema=ORDER)

    with pytest.raises(InvalidInput, match="schema 'order' of the channel 'orders'") as refused:
        bus.publish("orders", {"id": "seven"}, sender)

    assert [item.pointer for item in refused.value.errors] == ["/payload/id"]
    assert bus.publish("orders", {"id": 7}, sender).schema == "order"


def test_a_schema_that_is_none_is_refused(organization):
    with pytest.raises(InvalidInput, match="schema"):
        bus.declare(organization.pk, "orders", schema={"type": "nonsense"})


def test_what_is_too_large_is_refused_with_what_to_do(sender):
    with pytest.raises(InvalidInput, match=r"takes 65,536\. Keep the large part elsewhere") as refused:
        bus.publish("orders", "x" * 70_000, sender)

    assert refused.value.errors[0].code == "payload_too_large"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-a", "ä", "x" * 101, "a\0b"])
def test_a_name_that_is_none_is_refused(organization, sender, name):
    with pytest.raises(InvalidInput, match="cannot be the name of a channel"):
        bus.publish(name, 1, sender)
    with pytest.raises(InvalidInput, match="cannot be the name of a group"):
        reader(organization, name)


def test_what_has_no_json_form_is_refused(sender):
    with pytest.raises(InvalidInput, match="JSON"):
        bus.publish("orders", float("nan"), sender)


def test_a_refused_message_leaves_nothing(in_scope, sender):
    with pytest.raises(NotFound):
        bus.publish("orders", 1, sender, bus.Options(signal=bus.Signal(uuid4(), "paid")))

    assert not ChannelMessage.objects.exists()


# ---- requests --------------------------------------------------------------------------------------


def test_a_request_gets_the_first_reply(organization, sender):
    asked = bus.request("prices", {"of": "tea"}, sender, timeout=30)
    worker = reader(organization, "shop", "prices")

    question = worker.read()
    bus.reply(question, 3, sender)
    bus.reply(question, 4, sender)

    answer = bus.await_reply(asked)
    assert (answer.payload, answer.correlation_id, answer.channel) == (3, asked.id, "prices.replies")


def test_a_request_that_nobody_answers_ends(sender):
    asked = bus.request("prices", 1, sender, timeout=0.05)

    with pytest.raises(bus.NoReply, match="Nobody has replied in time"):
        bus.await_reply(asked)


def test_another_organization_cannot_answer(organization, sender, other_sender):
    asked = bus.request("prices", 1, sender, timeout=0.05)

    bus.publish(asked.reply_to, "forged", other_sender, bus.Options(kind="reply", correlation_id=asked.id))

    with pytest.raises(bus.NoReply):
        bus.await_reply(asked)


def test_only_a_request_is_answered(sender):
    with pytest.raises(Fatal, match="no request"):
        bus.reply(bus.publish("orders", 1, sender), 2, sender)


# ---- what is kept ----------------------------------------------------------------------------------


def test_old_messages_leave_and_undecided_ones_stay(in_scope, sender):
    bus.declare(in_scope.pk, "orders", max_deliveries=1)
    one = reader(in_scope)
    for payload in ("dead", "handled", "young"):
        bus.publish("orders", payload, sender)
    one.release(one.read(), "No.")
    one.ack(one.read())
    ages = {"dead": 20, "handled": 20, "young": 0}
    for row in ChannelMessage.objects.all():
        age = timedelta(days=ages[row.payload])
        ChannelMessage.objects.filter(pk=row.pk).update(
            created_at=F("created_at") - age, expires_at=F("expires_at") - age
        )
        Delivery.objects.filter(message=row).update(expires_at=F("expires_at") - age)

    assert forget_old_messages() == 1

    assert [row.payload for row in ChannelMessage.objects.order_by("seq")] == ["dead", "young"]
    assert bus.publish("orders", "next", sender).seq == 4


def test_counts_of_a_group(in_scope, sender):
    one = reader(in_scope)
    for number in range(3):
        bus.publish("orders", number, sender)
    one.ack(one.read())
    one.read()

    (group,) = overview.find_channel("orders").groups.all()

    assert (group.lag, group.in_hand, group.dead) == (2, 1, 0)


# ---- whatever happens ------------------------------------------------------------------------------

ACTS = st.lists(st.sampled_from(["publish", "read", "ack", "die", "release"]), max_size=25)
_channels = (f"orders-{number}" for number in count())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_at_least_once_and_in_order_whoever_dies(organization, sender, acts):
    channel = next(_channels)
    published, handled, held = count(), [], []
    with scope(organization=organization):
        one = reader(organization, channel=channel)
        bus.declare(organization.pk, channel, max_deliveries=1000)
        for act in acts:
            if act == "publish":
                bus.publish(channel, next(published), sender)
            elif act == "read":
                held += filter(None, [one.read()])
            elif act == "ack" and held:
                handled.append(held.pop(0))
                one.ack(handled[-1])
            elif act == "die":
                held.clear()
                end_leases()
                one = reader(organization, channel=channel)
            elif held:
                one.release(held.pop())
        end_leases()
        rest = payloads(one)

    everything = range(next(published))
    times = Counter([message.payload for message in handled] + rest)
    assert times == Counter(everything), "each exactly once, as nobody died between its work and its acknowledgement"
    assert rest == sorted(rest)
    if not {"die", "release"} & set(acts):
        assert [message.payload for message in handled] + rest == list(everything)

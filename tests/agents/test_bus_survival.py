"""Processes that die, a Redis that forgets, and a Redis that is gone: messages arrive all the same."""

import os
import subprocess
import sys
import threading

import pytest
from django.db import connection

from apps.agents.bus import exchange as bus
from apps.agents.bus import streams
from apps.common import redis

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sender(transactional_db, organization):
    return bus.Sender(organization_id=organization.pk, origin="test")


@pytest.fixture
def no_redis(settings, monkeypatch):
    """Call it, and nobody answers any more."""
    address = settings.REDIS_URL

    def go_away():
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        forget_clients()

    yield go_away
    settings.REDIS_URL = address
    forget_clients()


def forget_clients():
    redis.client.cache_clear()
    streams._patient.cache_clear()
    redis.forget_silence()


def flush():
    redis.client().flushall()


def reader(organization, group="billing", **options):
    return bus.Reader(organization.pk, "orders", group, **options)


def payloads(one):
    found = []
    while (message := one.read()) is not None:
        found.append(message.payload)
        one.ack(message)
    return found


def in_thread(work):
    """Do it beside the test; gives what waits for the end."""
    given = []

    def done():
        try:
            given.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=done)
    thread.start()

    def end():
        thread.join(30)
        return given[0]

    return end


def test_a_reader_killed_between_reading_and_acknowledging_loses_nothing(organization, sender, database_url, redis_url):
    server, _, _ = database_url.rpartition("/")
    own = {"DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}", "REDIS_URL": redis_url}
    command = [sys.executable, "-m", "tests.agents.bus_reader", str(organization.pk), "orders", "billing"]
    bus.publish("orders", "precious", sender)

    with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "precious"
        process.kill()

    message = reader(organization).read(wait=30)
    assert (message.payload, message.deliveries) == ("precious", 2)


def test_a_waiting_reader_is_woken_by_a_message(organization, sender, monkeypatch):
    monkeypatch.setattr(streams, "LOOK_SECONDS", 60)
    monkeypatch.setattr(streams, "ANSWER_SECONDS", 60)
    streams._patient.cache_clear()
    one = reader(organization)
    one.read()

    end = in_thread(lambda: one.read(wait=60))
    bus.publish("orders", "wake up", sender)

    assert end().payload == "wake up"
    streams._patient.cache_clear()


def test_a_flush_in_the_middle_loses_nothing_and_brings_nothing_back(organization, sender):
    one = reader(organization)
    for number in range(4):
        bus.publish("orders", number, sender)
    first = one.read()
    one.ack(first)
    second = one.read()

    flush()
    bus.publish("orders", 4, sender)

    assert one.ack(second)
    assert [first.payload, second.payload, *payloads(one)] == [0, 1, 2, 3, 4]


def test_after_a_flush_the_stream_is_filled_from_the_rows(organization, sender):
    one = reader(organization)
    for number in range(3):
        bus.publish("orders", number, sender)
    flush()

    one.read()

    key = streams._key(organization.pk, "orders")
    assert [entry[0] for entry in redis.client().xrange(key)] == [b"1-0", b"2-0", b"3-0"]
    assert [group["name"] for group in redis.client().xinfo_groups(key)] == [b"billing"]


def test_with_redis_dead_messages_are_published_and_read(organization, sender, no_redis):
    one = reader(organization)
    one.read()

    no_redis()
    end = in_thread(lambda: one.read(wait=30))
    bus.publish("orders", "by foot", sender)

    assert end().payload == "by foot"


def test_with_redis_dead_a_request_is_answered(organization, sender, no_redis):
    no_redis()
    asked = bus.request("orders", "how many?", sender, timeout=30)
    end = in_thread(lambda: bus.await_reply(asked))

    bus.reply(reader(organization).read(), 3, sender)

    assert end().payload == 3


def test_another_thing_under_the_key_of_a_stream_harms_nobody(organization, sender):
    redis.client().set(streams._key(organization.pk, "orders"), "not a stream")

    bus.publish("orders", "x", sender)

    assert reader(organization).read(wait=5).payload == "x"
    assert redis.ask(lambda client: client.ping()), "nobody takes Redis for silent"
    flush()


def test_the_stream_stays_short(organization, sender, monkeypatch):
    monkeypatch.setattr(streams, "MOST_ENTRIES", 10)
    for number in range(300):
        streams.announce(organization.pk, "orders", number + 1)

    assert redis.client().xlen(streams._key(organization.pk, "orders")) < 200
    flush()


def test_many_readers_of_a_group_take_each_message_once(organization, sender):
    for number in range(60):
        bus.publish("orders", number, sender)

    ends = [in_thread(lambda: payloads(reader(organization))) for _ in range(8)]

    assert sorted(payload for end in ends for payload in end()) == list(range(60))


def test_publishers_beside_each_other_leave_no_gap_and_no_double(organization, sender):
    def publish():
        return [bus.publish("orders", None, sender).seq for _ in range(15)]

    ends = [in_thread(publish) for _ in range(4)]

    assert sorted(seq for end in ends for seq in end()) == list(range(1, 61))

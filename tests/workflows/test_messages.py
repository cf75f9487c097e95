"""Messages from and to the nodes of a run: once for all attempts, whatever dies on the way."""

import asyncio

import pytest

from apps.agents.bus import exchange as bus
from apps.agents.models import ChannelMessage, Delivery
from apps.common.asyncio_loop import run_coroutine
from apps.common.errors import Conflict, NotFound, Retryable
from apps.workflows.services.attempts import execute
from apps.workflows.store import journal
from tests.engine.documents import workflow
from tests.workflows.probes import probe

TWICE = {"retry": {"attempts": 2, "delay": 1}}


class Killed(BaseException):
    """The process is gone: nothing that follows in it happens."""


@pytest.fixture
def sender(room):
    return bus.Sender(organization_id=room.organization.pk, origin="test")


def published(room, channel="orders"):
    with room.scope():
        return list(ChannelMessage.objects.filter(channel__name=channel).order_by("seq"))


def finished(room, run):
    """The output of a run, once it has ended."""
    room.until_ended(run)
    return room.output(run)


def states(room):
    with room.scope():
        return list(Delivery.objects.order_by("seq").values_list("state", flat=True))


def reader(room, channel="orders", group="billing"):
    return bus.Reader(room.organization.pk, channel, group)


def test_a_node_that_is_tried_again_publishes_once(room, calls):
    def work(task, ctx):
        first, second = ctx.publish("orders", ctx.attempt), ctx.publish("orders", "b")
        if ctx.attempt == 1:
            raise Retryable("Not yet.")
        return [first.payload, second.payload]

    calls["a"] = work

    run = room.finish(workflow({"a": probe("a", **TWICE)}))

    assert room.output(run.pk) == {"a": [1, "b"]}
    rows = published(room)
    assert [row.payload for row in rows] == [1, "b"]
    assert {(row.run_id, row.node, row.origin) for row in rows} == {(run.pk, "a", "agent:probe")}


def test_a_process_that_dies_between_publishing_and_its_journal_publishes_once(room, calls, monkeypatch):
    write = journal.write

    def die(*args, **kwargs):
        monkeypatch.setattr(journal, "write", write)
        raise Killed

    calls["a"] = lambda task, ctx: ctx.publish("orders", ctx.attempt).payload
    monkeypatch.setattr(journal, "write", die)
    run = room.start(workflow({"a": probe("a")}))
    execute(room.claim(run, "a"), room.worker)
    room.die()

    assert finished(room, run) == {"a": 1}
    assert len(published(room)) == 1


def test_a_message_that_was_being_handled_comes_to_the_next_attempt(room, calls, sender):
    seen = []

    def work(task, ctx):
        for message in ctx.receive("orders", "billing"):
            seen.append((ctx.attempt, message.payload))
            if seen == [(1, "a"), (1, "b")]:
                raise Retryable("Not yet.")
        return len(seen)

    calls["a"] = work
    for payload in ("a", "b", "c"):
        bus.publish("orders", payload, sender)

    room.finish(workflow({"a": probe("a", **TWICE)}))

    assert seen == [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (2, "c")]
    assert states(room) == ["acked"] * 3


def test_agents_answer_each_other_and_the_question_is_asked_once(room, calls, sender):
    def ask(task, ctx):
        answer = ctx.request("prices", {"of": "tea"}, timeout=30)
        if ctx.attempt == 1:
            raise Retryable("Not yet.")
        return answer.payload

    calls["a"] = ask
    shop = reader(room, "prices", "shop")
    run = room.start(workflow({"a": probe("a", **TWICE)}))
    original = bus.await_reply

    with pytest.MonkeyPatch.context() as patch:

        def answered(asked, **options):
            bus.reply(shop.read(), 3, sender)
            return original(asked, **options)

        patch.setattr(bus, "await_reply", answered)
        assert finished(room, run) == {"a": 3}

    assert [row.kind for row in published(room, "prices")] == ["request"]
    assert len(published(room, "prices.replies")) == 1


def test_a_request_without_a_reply_fails_the_node_for_good(room, calls):
    calls["a"] = lambda task, ctx: ctx.request("prices", 1, timeout=0.01).payload

    run = room.finish(workflow({"a": probe("a", **TWICE)}))

    assert (run.status, room.error(run.pk)["code"], calls.calls["a"]) == ("failed", "no_reply", 1)


def test_async_agents_do_the_same(room, calls, sender):
    async def work(ctx):
        asked = asyncio.create_task(ctx.arequest("prices", "tea?", timeout=30))
        async for message in ctx.areceive("prices", "shop", wait=30, most=1):
            await ctx.areply(message, 3)
        answer = await asked
        sent = await ctx.apublish("orders", answer.payload, after=answer)
        told = await ctx.abroadcast("done", capability="greet")
        return [sent.payload, str(sent.correlation_id) == str(answer.correlation_id), told.capability]

    calls["a"] = lambda task, ctx: run_coroutine(work(ctx))

    assert finished(room, room.start(workflow({"a": probe("a")}))) == {"a": [3, True, "greet"]}
    assert states(room) == ["acked"]


def test_a_workflow_publishes_without_python(room):
    node = {"type": "tool", "tool": "bus.publish", "input": {"channel": "orders", "payload": "{{ inputs }}"}}

    run = room.finish(workflow({"a": node}), {"id": 7})

    (row,) = published(room)
    assert (row.payload, row.origin, row.run_id) == ({"id": 7}, "tool:bus.publish", run.pk)
    assert room.output(run.pk) == {"a": {"id": str(row.pk), "channel": "orders", "seq": 1}}


def test_a_payload_that_does_not_fit_fails_the_node_with_the_place(room):
    bus.declare(room.organization.pk, "orders", schema={"type": "object", "required": ["id"]})
    node = {"type": "tool", "tool": "bus.publish", "input": {"channel": "orders", "payload": {}}}

    run = room.finish(workflow({"a": node}))

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "invalid_input")
    assert '/payload: "id" is a required property' in room.error(run.pk)["message"]


def test_a_workflow_asks_without_python(room, sender, monkeypatch):
    shop, original = reader(room, "prices", "shop"), bus.await_reply

    def answered(asked, **options):
        bus.reply(shop.read(), {"eur": 3}, sender)
        return original(asked, **options)

    monkeypatch.setattr(bus, "await_reply", answered)
    node = {"type": "tool", "tool": "bus.request", "input": {"channel": "prices", "payload": "tea"}}

    assert finished(room, room.start(workflow({"a": node})))["a"]["payload"] == {"eur": 3}


def test_a_run_and_an_event_go_together(room):
    node = {"type": "tool", "tool": "bus.publish", "input": {"channel": "orders", "event": "paid"}}

    assert room.error(room.finish(workflow({"a": node})).pk)["code"] == "invalid_input"


# ---- messages that continue runs -------------------------------------------------------------------

WAITING = workflow({"a": {"type": "wait", "event": "paid"}})


def test_a_message_continues_the_run_that_waits_for_it(room, sender):
    run = room.start(WAITING)
    room.work()

    bus.publish("payments", {"eur": 3}, sender, bus.Options(signal=bus.Signal(run, "paid")))

    assert finished(room, run) == {"a": {"eur": 3}}


def test_the_message_of_one_run_continues_another(room):
    run = room.start(WAITING)
    room.work()
    given = {"channel": "payments", "payload": 3, "run": str(run), "event": "paid"}

    room.finish(workflow({"pay": {"type": "tool", "tool": "bus.publish", "input": given}}))

    assert finished(room, run) == {"a": 3}


def test_a_signal_is_published_once_with_its_message(room, sender):
    run = room.start(
        workflow({"a": {"type": "wait", "event": "paid"}, "b": {"type": "wait", "event": "paid", "needs": "a"}})
    )
    room.work()

    for _ in range(2):
        options = bus.Options(signal=bus.Signal(run, "paid"))
        bus.publish("payments", 3, sender, options, idempotency_key="once")
    room.work()

    assert room.statuses(run) == {"a": "completed", "b": "waiting"}


def test_no_message_continues_a_run_that_has_ended_or_is_of_others(room, sender, other_organization):
    run = room.finish(workflow({"a": {"type": "set"}})).pk
    waiting = room.start(WAITING)
    stranger = bus.Sender(organization_id=other_organization.pk)

    with pytest.raises(Conflict, match="takes no events any more"):
        bus.publish("payments", 1, sender, bus.Options(signal=bus.Signal(run, "paid")))
    with pytest.raises(NotFound):
        bus.publish("payments", 1, stranger, bus.Options(signal=bus.Signal(waiting, "paid")))

    assert published(room, "payments") == []

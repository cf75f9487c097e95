"""Maps: one node run per item, so many at a time, outputs in order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.common.database import release_connection
from apps.common.errors import Fatal, Retryable
from apps.workflows.models import Approval
from apps.workflows.services.approvals import decide_approval
from tests.engine.documents import workflow
from tests.workflows.probes import probe


def mapped(node, *, over="{{ inputs.items }}", nodes=None, edges=None, **fields):
    return workflow({"m": {"type": "map", "over": over, "node": node, **fields}, **(nodes or {})}, edges)


DOUBLE = {"type": "set", "values": {"twice": "{{ item * 2 }}", "index": "{{ index }}"}}


def test_outputs_stand_in_the_order_of_the_items(room, calls):
    run = room.finish(mapped(probe("i", input="{{ item }}"), max_parallel=3), {"items": [10, 20, 30]})

    assert room.output(run) == {"m": [10, 20, 30]}


def test_outputs_stand_in_order_whatever_ends_first(room, calls):
    run = room.start(mapped(probe("i", input="{{ item }}"), max_parallel=3), {"items": ["a", "b", "c"]})
    room.begin(run, "m")
    claims = [room.claim(run, "m", index=index) for index in (0, 1, 2)]

    for claim in reversed(claims):
        room.bring(claim, f"out {claim.row.index}")

    assert room.output(run) == {"m": ["out 0", "out 1", "out 2"]}


def test_an_item_is_known_under_its_name(room):
    body = {"type": "set", "values": {"who": "{{ person.name }}"}}

    run = room.finish(mapped(body, **{"as": "person"}), {"items": [{"name": "Ana"}, {"name": "Bo"}]})

    assert room.output(run) == {"m": [{"who": "Ana"}, {"who": "Bo"}]}


def test_an_empty_list_is_an_empty_output(room):
    run = room.finish(mapped(DOUBLE), {"items": []})

    assert (run.status, room.output(run)) == ("completed", {"m": []})


@pytest.mark.parametrize("items", [5, "abc", {"a": 1}, None])
def test_what_is_no_list_fails_the_map(room, items):
    run = room.finish(mapped(DOUBLE), {"items": items})

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "invalid_field")
    assert "'over'" in room.error(run.pk)["message"]


def test_two_thousand_items(room):
    run = room.finish(mapped(DOUBLE, max_parallel=50), {"items": list(range(2000))})

    assert run.status == "completed"
    assert room.output(run)["m"] == [{"twice": 2 * number, "index": number} for number in range(2000)]


def test_no_more_items_than_allowed_run_at_a_time(room, calls):
    most, now, lock, together = 0, 0, threading.Lock(), threading.Barrier(3, timeout=5)

    def work(task, ctx):
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        together.wait()
        with lock:
            now -= 1
        return task

    calls["i"] = work
    run = room.start(mapped(probe("i", input="{{ item }}"), max_parallel=3), {"items": list(range(12))})

    def slot(_):
        try:
            while room.status(run) not in ("completed", "failed"):
                room.work(worker=room.another_worker())
        finally:
            release_connection()

    with ThreadPoolExecutor(6) as slots:
        list(slots.map(slot, range(6)))

    assert (most, room.node_output(run, "m")) == (3, list(range(12)))
    assert calls.calls["i"] == 12


def test_at_most_so_many_items_are_claimable(room, calls):
    run = room.start(mapped(probe("i"), max_parallel=2), {"items": [1, 2, 3, 4, 5]})
    room.begin(run, "m")

    assert room.open_items(run, "m") == [0, 1]
    room.bring(room.claim(run, "m", index=1), "x", go_on=False)
    assert room.open_items(run, "m") == [0, 2]
    room.bring(room.claim(run, "m", index=2), "x", go_on=False)
    assert room.open_items(run, "m") == [0, 3]


def test_a_failed_item_fails_the_map_and_cancels_the_rest(room, calls):
    calls.fails("i", Fatal("bad item", code="bad"))
    run = room.finish(mapped(probe("i", input="{{ item }}"), max_parallel=1), {"items": [1, 2, 3]})

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "item_failed")
    assert "Item 0" in room.error(run.pk)["message"]
    assert "bad item" in room.error(run.pk)["message"]
    assert [row.status for row in room.nodes(run.pk, "m")] == ["failed", "failed", "cancelled", "cancelled"]
    assert calls.calls["i"] == 1


def test_items_in_flight_when_another_fails_are_cancelled_and_their_results_refused(room, calls):
    calls.fails("i", Fatal("bad"))
    run = room.start(mapped(probe("i"), max_parallel=3), {"items": [1, 2, 3]})
    room.begin(run, "m")
    other = room.claim(run, "m", index=1)

    room.work()
    room.bring(other, "late")

    assert room.status(run) == "failed"
    assert room.attempts(run, "m", index=1) == ["cancelled"]
    assert room.node(run, "m", index=1).output is None


def test_collected_errors_stand_in_the_output(room, calls):
    def work(task, ctx):
        if task == 2:
            raise Fatal("no twos", code="two")
        return task

    calls["i"] = work

    run = room.finish(mapped(probe("i", input="{{ item }}"), on_item_error="collect"), {"items": [1, 2, 3]})

    one, two, three = room.node_output(run.pk, "m")
    assert (run.status, one, three) == ("completed", 1, 3)
    assert (two["error"]["code"], two["error"]["message"]) == ("two", "no twos")


def test_an_item_is_tried_again_by_its_own_policy(room, calls):
    calls.fails("i", Retryable("no"), Retryable("no"))
    body = probe("i", input="{{ item }}", retry={"attempts": 3, "delay": 1})

    run = room.finish(mapped(body, max_parallel=1), {"items": [1, 2]})

    assert room.node_output(run.pk, "m") == [1, 2]
    assert room.attempts(run.pk, "m", index=0) == ["failed", "failed", "completed"]
    assert room.attempts(run.pk, "m", index=1) == ["completed"]


def test_items_write_to_the_context_in_their_order(room):
    body = {"type": "set", "values": {"v": "{{ item }}"}, "save": {"all": "{{ output.v }}"}}
    document = mapped(body, max_parallel=3) | {"context": {"all": {"reducer": "append", "initial": []}}}

    run = room.finish(document, {"items": [3, 1, 2]})

    assert room.context(run.pk) == {"all": [3, 1, 2]}


def test_an_item_whose_expression_fails_says_which_and_where(room):
    body = {"type": "set", "values": {"v": "{{ item.name }}"}}

    run = room.finish(mapped(body), {"items": [{"name": "x"}, {"nam": "y"}]})

    assert run.status == "failed"
    assert "Item 1" in room.error(run.pk)["message"]
    assert "item.name" in room.error(run.pk)["message"]


def test_an_inner_wait_holds_each_item(room):
    run = room.start(mapped({"type": "wait", "seconds": "{{ item }}"}, max_parallel=2), {"items": [5, 50, 5]})

    room.work()
    room.pass_time(5)
    room.work()
    assert [row.status for row in room.nodes(run, "m")] == ["waiting", "completed", "waiting", "waiting"]

    assert room.until_ended(run).status == "completed"


def test_an_inner_event_is_taken_by_one_item_after_the_other(room):
    run = room.start(mapped({"type": "wait", "event": "go"}, max_parallel=1), {"items": [1, 2]})
    room.work()

    assert room.status(run) == "waiting"
    assert room.signal(run, "go", "first")
    room.work()
    assert room.signal(run, "go", "second")

    assert room.node_output(run, "m") == ["first", "second"]
    assert room.status(run) == "completed"


def test_inner_approvals_are_one_question_each(room, in_scope):
    run = room.start(mapped({"type": "approval", "message": "{{ item }}?"}, max_parallel=5), {"items": ["a", "b"]})
    room.work()

    questions = list(Approval.objects.filter(run=run).order_by("message"))
    assert [question.message for question in questions] == ["a?", "b?"]
    for question in questions:
        decide_approval(question, decision="approve", data={}, comment="", by="user:ana")

    assert [output["decision"] for output in room.node_output(run, "m")] == ["approve", "approve"]
    assert room.status(run) == "completed"


def test_questions_of_cancelled_items_are_closed(room, in_scope):
    body = {"type": "approval", "message": "?"}
    ask = {"type": "map", "over": [1, 2], "node": body, "timeout": 30, "on_error": "continue"}
    document = workflow({"m": ask, "w": {"type": "wait", "event": "x"}}, ["m w"])
    run = room.start(document)
    room.work()

    room.pass_time(31)
    room.work()

    assert room.statuses(run) == {"m": "failed", "w": "waiting"}
    assert {question.status for question in Approval.objects.filter(run=run)} == {"cancelled"}


def test_an_inner_failure_is_told_with_its_message(room):
    run = room.finish(mapped({"type": "fail", "message": "no {{ item }}"}), {"items": ["luck"]})

    assert "no luck" in room.error(run.pk)["message"]


def test_a_map_that_takes_too_long_fails_with_its_items(room, calls):
    run = room.start(mapped(probe("i"), timeout=30, max_parallel=2), {"items": [1, 2, 3]})
    room.begin(run, "m")
    late = room.claim(run, "m", index=0)

    room.pass_time(31)
    room.bring(late, "late")

    assert (room.status(run), room.error(run)["code"]) == ("failed", "timeout")
    assert {row.status for row in room.nodes(run, "m") if row.index >= 0} == {"cancelled"}
    assert room.attempts(run, "m", index=0) == ["cancelled"]


def test_a_map_with_a_retry_policy_is_not_tried_for_ever(room):
    body = {"type": "wait", "event": "never"}
    run = room.start(mapped(body, timeout=30, retry={"attempts": 2, "delay": 1}), {"items": [1]})

    assert room.until_ended(run).status == "failed"

    assert room.node(run, "m").attempt == 2


def test_large_items_are_mapped(room):
    big = "x" * 200_000

    run = room.finish(mapped({"type": "set", "values": {"n": "{{ size(item) }}"}}), {"items": [big, big]})

    assert room.output(run) == {"m": [{"n": 200_000}, {"n": 200_000}]}

"""Waits, events and approvals."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from apps.common.database import release_connection
from apps.common.errors import Conflict, Invalid, PermissionDenied
from apps.workflows.models import Approval, Signal
from apps.workflows.services.approvals import decide_approval, offered
from tests.engine.documents import workflow
from tests.workflows.probes import probe

FORM = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer", "maximum": 100}}}


def waits(**fields):
    return workflow({"w": {"type": "wait", **fields}, "n": {"values": {"got": "{{ nodes.w.output }}"}}}, ["w n"])


def asks(edges=None, nodes=None, **fields):
    ask = {"type": "approval", "message": "Shall we, {{ inputs.who }}?", **fields}
    return workflow({"ask": ask, **(nodes or {"yes": {}, "no": {}})}, edges)


# ---- time -----------------------------------------------------------------------------------------


def test_a_wait_goes_on_when_its_seconds_are_over(room):
    run = room.start(waits(seconds=60))
    room.work()
    assert (room.status(run), room.statuses(run)) == ("waiting", {"w": "waiting"})

    room.pass_time(59)
    assert room.status(run) == "waiting"
    room.pass_time(1)

    assert room.until_ended(run).status == "completed"


@pytest.mark.parametrize("seconds", ["{{ inputs.s }}", "2m", "{{ inputs.text }}"])
def test_seconds_are_a_number_or_a_duration(room, seconds):
    room.start(waits(seconds=seconds), {"s": 120, "text": "2m"})

    room.work()

    assert 119 < room.seconds_until_due() <= 120


@pytest.mark.parametrize("value", [-1, "soon", True, None, 1e12, [1]])
def test_seconds_that_make_no_sense_fail_the_node(room, value):
    run = room.finish(waits(seconds="{{ inputs.s }}"), {"s": value})

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "invalid_field")


def test_a_wait_until_a_moment(room):
    moment = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    run = room.start(waits(until="{{ inputs.t }}"), {"t": moment})

    room.work()

    assert 3590 < room.seconds_until_due() <= 3600
    assert room.until_ended(run).status == "completed"


def test_a_moment_that_has_passed_is_no_wait(room):
    assert room.finish(waits(until="2001-01-01T00:00:00Z")).status == "completed"


@pytest.mark.parametrize("value", ["tomorrow", 5, "", "9999-99-99", None])
def test_a_moment_that_is_none_fails_the_node(room, value):
    run = room.finish(waits(until="{{ inputs.t }}"), {"t": value})

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "invalid_field")


def test_the_last_moment_there_is_does_no_harm(room):
    run = room.start(waits(until="{{ inputs.t }}"), {"t": "9999-12-31T23:59:59-12:00"})

    room.work()

    assert room.status(run) in ("waiting", "failed")


# ---- events ---------------------------------------------------------------------------------------


def test_an_event_goes_on_with_its_payload(room):
    run = room.start(waits(event="paid"))
    room.work()

    assert room.signal(run, "paid", {"amount": 5}) is True

    assert room.until_ended(run).status == "completed"
    assert room.output(run) == {"n": {"got": {"amount": 5}}}


def test_an_event_that_comes_early_is_kept(room):
    run = room.start(waits(event="paid"))

    assert room.signal(run, "paid", "early") is False

    assert room.until_ended(run).status == "completed"
    assert room.node_output(run, "w") == "early"


def test_an_event_is_taken_once_and_in_order(room, in_scope):
    run = room.start(workflow({"a": {"type": "wait", "event": "e"}, "b": {"type": "wait", "event": "e"}}, ["a b"]))
    for payload in (1, 2, 3):
        room.signal(run, "e", payload)

    room.until_ended(run)

    assert (room.node_output(run, "a"), room.node_output(run, "b")) == (1, 2)
    assert Signal.objects.filter(taken_by=None).count() == 1


def test_another_event_changes_nothing(room):
    run = room.start(waits(event="paid"))
    room.work()

    assert room.signal(run, "pay", 1) is False

    assert room.status(run) == "waiting"


def test_an_event_that_never_comes_fails_after_its_time(room):
    run = room.start(waits(event="paid", timeout=60))
    room.work()

    room.pass_time(60)

    assert (room.status(run), room.error(run)["code"]) == ("failed", "timeout")
    assert "'paid'" in room.error(run)["message"]


def test_the_name_of_an_event_may_be_an_expression(room):
    run = room.start(waits(event="order-{{ inputs.n }}"), {"n": 7})
    room.work()

    assert room.signal(run, "order-7") is True


def test_an_ended_run_takes_no_events(room):
    run = room.finish(workflow({"a": {}}))

    with pytest.raises(Conflict):
        room.signal(run.pk, "e")


def test_a_large_payload_is_kept_whole(room):
    run = room.start(waits(event="big"))
    room.signal(run, "big", "x" * 500_000)

    room.until_ended(run)

    assert len(room.node_output(run, "w")) == 500_000


# ---- approvals ------------------------------------------------------------------------------------


def test_a_question_says_what_was_asked(room, in_scope):
    run = room.start(asks(assignees=["ana"], input={"total": "{{ 2 + 3 }}"}, form=FORM), {"who": "Ana"})

    room.work()

    question = room.approval(run)
    assert (question.message, question.assignees, question.payload) == ("Shall we, Ana?", ["ana"], {"total": 5})
    assert (question.form, question.deadline_at, room.status(run)) == (FORM, None, "waiting")


ROUTED = [{"from": "ask", "to": "yes", "route": "approve"}, {"from": "ask", "to": "no", "route": "reject"}]
CONDITIONED = [
    {"from": "ask", "to": "yes", "when": 'output.decision == "approve"'},
    {"from": "ask", "to": "no", "when": 'output.decision == "reject"'},
]


@pytest.mark.parametrize("edges", [ROUTED, CONDITIONED], ids=["routes", "conditions"])
@pytest.mark.parametrize(("decision", "way"), [("approve", "yes"), ("reject", "no")])
def test_a_decision_chooses_the_way(room, edges, decision, way):
    run = room.start(asks(edges), {"who": "x"})
    room.work()

    room.decide(run, decision, {"note": 1})

    assert room.until_ended(run).status == "completed"
    assert room.statuses(run) == {"ask": "completed", way: "completed"}
    output = room.node_output(run, "ask")
    assert (output["decision"], output["data"], output["decided_by"]) == (decision, {"note": 1}, "user:ana")


def test_a_plain_edge_is_not_taken_after_a_no(room):
    run = room.start(asks(["ask yes"], {"yes": {}}), {"who": "x"})
    room.work()

    room.decide(run, "reject")

    assert room.until_ended(run).status == "completed"
    assert room.statuses(run) == {"ask": "completed"}


def test_a_plain_edge_is_taken_after_a_yes(room):
    run = room.start(asks(["ask yes"], {"yes": {}}), {"who": "x"})
    room.work()

    room.decide(run, "approve")

    assert room.until_ended(run).status == "completed"
    assert room.statuses(run) == {"ask": "completed", "yes": "completed"}


def test_a_no_where_only_a_yes_leads_on_ends_the_path(room):
    run = room.start(asks(ROUTED[:1], {"yes": {}}), {"who": "x"})
    room.work()

    room.decide(run, "reject")

    assert room.until_ended(run).status == "completed"
    assert room.statuses(run) == {"ask": "completed"}


def test_data_that_does_not_fit_the_form_changes_nothing(room, in_scope):
    run = room.start(asks(["ask yes"], {"yes": {}}, form=FORM), {"who": "x"})
    room.work()

    for data in ({}, {"amount": "x"}, {"amount": 101}):
        with pytest.raises(Invalid) as raised:
            room.decide(run, "approve", data)
        assert (raised.value.code, raised.value.errors[0].pointer.startswith("/data")) == ("invalid_form", True)

    assert room.status(run) == "waiting"
    room.decide(run, "approve", {"amount": 100})
    assert room.until_ended(run).status == "completed"


def test_a_no_needs_no_form(room):
    run = room.start(asks(form=FORM, nodes={"yes": {}}, edges=["ask yes"]), {"who": "x"})
    room.work()

    room.decide(run, "reject")

    assert room.until_ended(run).status == "completed"


def test_a_second_decision_is_refused_and_names_the_first(room, in_scope):
    run = room.start(asks(["ask yes"], {"yes": {}}), {"who": "x"})
    room.work()
    question = room.approval(run)
    room.decide(run, "approve", by="user:ana")

    with pytest.raises(Conflict) as raised:
        decide_approval(question, decision="reject", data={}, comment="", by="user:bo")

    assert "user:ana" in raised.value.detail
    assert "approved" in raised.value.detail


def test_of_two_decisions_at_once_one_counts(room, in_scope):
    run = room.start(asks(["ask yes"], {"yes": {}}), {"who": "x"})
    room.work()
    question = room.approval(run)
    together = threading.Barrier(6)

    def decide(number):
        together.wait()
        try:
            decision = "approve" if number % 2 else "reject"
            with room.scope():
                decide_approval(question, decision=decision, data={}, comment="", by=f"user:{number}")
        except Conflict:
            return 0
        finally:
            release_connection()
        return 1

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(decide, range(6))) == 1

    assert len(room.events(run, "node.completed")) == 1


# ---- sending back ---------------------------------------------------------------------------------


def asked_of_a_draft(room):
    draft = {"values": {"because": "{{ has(nodes.ask.output) ? nodes.ask.output.comment : '' }}"}}
    ask = {"type": "approval", "message": "Send it?"}
    back = {"from": "ask", "to": "draft", "route": "send_back", "max": 2}
    run = room.start(workflow({"draft": draft, "ask": ask, "sent": {}}, ["draft ask", "ask sent", back]))
    room.work()
    return run


def test_sending_back_has_the_nodes_before_run_again_with_the_comment(room):
    run = asked_of_a_draft(room)
    first = room.approval(run)

    room.decide(run, "send_back", comment="Shorter.")
    room.work()

    assert room.node_output(run, "draft", visit=2) == {"because": "Shorter."}
    assert room.approval(run).pk != first.pk, "it asks again"
    assert "sent" not in room.visits(run)
    room.decide(run, "approve")
    assert room.until_ended(run).status == "completed"
    with room.scope():
        assert [one.status for one in Approval.objects.order_by("pk")] == ["sent_back", "approved"]


def test_it_is_sent_back_as_often_as_the_edge_allows_and_then_no_more(room):
    run = asked_of_a_draft(room)
    for _ in range(2):
        room.decide(run, "send_back", comment="Again.")
        room.work()

    with room.scope():
        assert offered(room.approval(run)) == ["approve", "reject"]
    with pytest.raises(Conflict, match="cannot be sent back"):
        room.decide(run, "send_back", comment="Again.")

    assert room.approval(run).status == "open", "it can still be decided"


def test_nothing_is_sent_back_without_a_way_back(room):
    run = room.start(asks(["ask yes"]), {"who": "Bo"})
    room.work()

    with pytest.raises(Conflict, match="no edge from 'ask' has the route 'send_back'"):
        room.decide(run, "send_back", comment="Again.")
    with room.scope():
        assert offered(room.approval(run)) == ["approve", "reject"]


def test_nothing_is_sent_back_without_a_word(room):
    run = asked_of_a_draft(room)

    with pytest.raises(Invalid, match="Say what should be different"):
        room.decide(run, "send_back", comment="  ")

    assert room.approval(run).status == "open"


def test_the_api_says_which_decisions_there_are_and_takes_each(room, alice):
    question = f"/v1/approvals/{room.approval(asked_of_a_draft(room)).pk}"

    shown = alice.client.get(question).json()
    wordless = alice.client.post(question, {"decision": "send_back"}, format="json")
    sent = alice.client.post(question, {"decision": "send_back", "comment": "Shorter."}, format="json")

    assert shown["decisions"] == ["approve", "reject", "send_back"]
    assert (wordless.status_code, wordless.json()["errors"][0]["pointer"]) == (422, "/comment")
    assert (sent.status_code, sent.json()["status"], sent.json()["decisions"]) == (200, "sent_back", [])
    again = alice.client.post(question, {"decision": "approve"}, format="json")
    assert (again.status_code, again.json()["detail"][:17]) == (409, "Already sent back")


def test_only_who_was_asked_decides(room):
    run = room.start(asks(assignees=["ana"]), {"who": "x"})
    room.work()

    with pytest.raises(PermissionDenied):
        room.decide(run, "approve", by="user:bo")

    room.decide(run, "approve", by="user:ana")


@pytest.mark.parametrize(
    ("on_timeout", "status", "way"),
    [("approve", "completed", ["yes"]), ("reject", "completed", ["no"]), ("fail", "failed", [])],
)
def test_a_question_that_nobody_answers_in_time(room, in_scope, on_timeout, status, way):
    run = room.start(asks(ROUTED, timeout=60, on_timeout=on_timeout), {"who": "x"})
    room.work()

    room.pass_time(60)

    assert room.until_ended(run).status == status
    assert [name for name in ("yes", "no") if name in room.statuses(run)] == way
    assert Approval.objects.get(run=run).status == "expired"


def test_a_question_of_a_cancelled_run_is_closed(room, in_scope):
    run = room.start(asks(), {"who": "x"})
    room.work()
    question = room.approval(run)

    room.cancel(run)

    assert Approval.objects.get(run=run).status == "cancelled"
    with pytest.raises(Conflict):
        decide_approval(question, decision="approve", data={}, comment="", by="user:ana")


def test_a_question_in_a_loop_is_asked_again(room, in_scope):
    back = {"from": "ask", "to": "ask", "route": "reject", "max": 2}
    run = room.start(asks([back, {"from": "ask", "to": "yes", "route": "approve"}], {"yes": {}}), {"who": "x"})

    for decision in ("reject", "reject", "approve"):
        room.work()
        room.decide(run, decision)

    assert room.until_ended(run).status == "completed"
    assert room.visits(run) == {"ask": 3, "yes": 1}
    assert Approval.objects.filter(run=run).count() == 3


def test_a_question_with_a_value_that_is_no_json_fails_its_node(room):
    run = room.finish(asks(input={"x": "{{ 1.0 / 0.0 }}"}), {"who": "x"})

    assert run.status == "failed"


def test_a_run_is_waiting_only_while_nothing_else_is_active(room, calls):
    run = room.start(workflow({"w": {"type": "wait", "event": "e"}, "a": probe("a")}))
    claim = room.claim(run, "a")
    room.begin(run, "w")
    assert room.status(run) == "running"

    room.bring(claim, 1)

    assert room.status(run) == "waiting"

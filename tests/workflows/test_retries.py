"""What happens when a node fails: retries, time-outs, error edges, and every kind of exception."""

import asyncio
import math
import sys

import pytest

from apps.common.asyncio_loop import Cancelled
from apps.common.errors import Conflict, Fatal, Retryable, Unavailable
from tests.engine.documents import workflow
from tests.workflows.probes import probe

RETRY = {"attempts": 3, "delay": 10, "backoff": 2, "jitter": False}


def test_a_failed_node_is_tried_as_often_as_it_says(room, calls):
    calls.fails("a", *[Retryable("no")] * 9)

    run = room.finish(workflow({"a": probe("a", retry=RETRY)}))

    assert run.status == "failed"
    assert calls.calls["a"] == 3
    assert room.attempts(run.pk, "a") == ["failed"] * 3
    assert room.node(run.pk, "a").attempt == 3


def test_a_node_that_succeeds_in_the_end_completes(room, calls):
    calls.fails("a", Retryable("no"), ValueError("neither"))

    run = room.finish(workflow({"a": probe("a", retry=RETRY, input=7)}))

    assert (run.status, room.output(run)) == ("completed", {"a": 7})
    assert room.attempts(run.pk, "a") == ["failed", "failed", "completed"]
    assert room.node(run.pk, "a").error is None


def test_the_rest_between_attempts_grows(room, calls):
    calls.fails("a", *[Retryable("no")] * 9)

    run = room.finish(workflow({"a": probe("a", retry=RETRY | {"attempts": 4})}))

    assert [event.data["delay"] for event in room.events(run.pk, "node.retrying")] == [10, 20, 40]


def test_a_node_that_rests_is_not_claimed_early(room, calls):
    calls.fails("a", Retryable("no"))
    run = room.start(workflow({"a": probe("a", retry=RETRY)}))

    room.work()

    assert (room.statuses(run), calls.calls["a"]) == ({"a": "retrying"}, 1)
    assert 9 < room.seconds_until_due() <= 10


def test_without_a_policy_a_node_is_tried_once(room, calls):
    calls.fails("a", Retryable("no"))

    assert room.finish(workflow({"a": probe("a")})).status == "failed"
    assert calls.calls["a"] == 1


def test_a_fatal_failure_is_not_tried_again(room, calls):
    calls.fails("a", Fatal("never", code="bad_city"))

    run = room.finish(workflow({"a": probe("a", retry=RETRY)}))

    assert calls.calls["a"] == 1
    assert (room.error(run.pk)["code"], room.error(run.pk)["message"]) == ("bad_city", "never")
    assert room.error(run.pk)["node"] == "a"


def test_what_the_other_side_asks_for_is_the_least_that_is_waited(room, calls):
    calls.fails("a", Retryable("slow down", retry_after=90))
    room.start(workflow({"a": probe("a", retry=RETRY)}))

    room.work()

    assert 89 < room.seconds_until_due() <= 90


@pytest.mark.parametrize("retry_after", [math.inf, math.nan, -5, 1e300, "soon"])
def test_a_senseless_retry_after_does_no_harm(room, calls, retry_after):
    calls.fails("a", Retryable("no", retry_after=retry_after))

    run = room.finish(workflow({"a": probe("a", retry=RETRY)}))

    assert run.status == "completed"


def test_a_part_that_is_away_for_a_moment_is_asked_again(room, calls):
    calls.fails("a", Unavailable("back soon"))

    assert room.finish(workflow({"a": probe("a", retry=RETRY)})).status == "completed"


def test_a_conflict_is_not_asked_again(room, calls):
    calls.fails("a", Conflict("taken", code="taken"))

    run = room.finish(workflow({"a": probe("a", retry=RETRY)}))

    assert (calls.calls["a"], room.error(run.pk)["code"]) == (1, "taken")


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even its message")


EVERY_KIND = [
    ValueError("wrong \x00 \ud800 value"),
    KeyError("k"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    RecursionError("deep"),
    MemoryError(),
    StopIteration(1),
    Silent(),
    Fatal("x" * 3_000_000),
    Fatal("x", code=5),  # type: ignore[arg-type]
    Retryable(None),  # type: ignore[arg-type]
    BaseExceptionGroup("both", [SystemExit(1), ValueError("x")]),
]


@pytest.mark.parametrize("error", EVERY_KIND, ids=lambda error: type(error).__name__)
def test_whatever_an_agent_raises_is_the_failure_of_its_node(room, calls, error):
    calls.fails("a", error)

    run = room.finish(workflow({"a": probe("a")}))

    assert (run.status, room.statuses(run.pk), room.attempts(run.pk, "a")) == ("failed", {"a": "failed"}, ["failed"])
    assert len(str(room.error(run.pk))) < 10_000


def test_an_agent_that_cancels_itself_fails(room, calls):
    calls.fails("a", Cancelled("I do not want to"))

    run = room.finish(workflow({"a": probe("a")}))

    assert (run.status, room.attempts(run.pk, "a")) == ("failed", ["failed"])


async def exits():
    sys.exit(1)


async def cancels_itself():
    raise asyncio.CancelledError


@pytest.mark.parametrize("coroutine", [exits, cancels_itself])
def test_whatever_async_code_raises_is_the_failure_of_its_node(room, calls, coroutine):
    calls["a"] = lambda task, ctx: coroutine()

    run = room.finish(workflow({"a": probe("a")}))

    assert run.status == "failed"


UNUSABLE = {
    "nan": math.nan,
    "an infinity inside": {"x": [math.inf]},
    "an object": object(),
    "a huge number": 2**70,
    "a function": lambda: 1,
    "an object deep inside": [[[{1: {2: object()}}]]],
}


@pytest.mark.parametrize("output", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_output_that_is_no_json_fails_the_node(room, calls, output):
    calls["a"] = lambda task, ctx: output

    run = room.finish(workflow({"a": probe("a")}))

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "invalid_output")


def test_an_output_that_contains_itself_fails_the_node(room, calls):
    endless = []
    endless.append(endless)
    calls["a"] = lambda task, ctx: endless

    assert room.finish(workflow({"a": probe("a")})).status == "failed"


def test_characters_that_cannot_be_stored_are_replaced(room, calls):
    calls["a"] = lambda task, ctx: {"a\x00b": "c\ud800d", "ok": "\U0001f600"}

    run = room.finish(workflow({"a": probe("a")}))

    assert room.output(run) == {"a": {"a\ufffdb": "c\ufffdd", "ok": "\U0001f600"}}


def test_a_log_line_with_such_characters_does_no_harm(room, calls):
    calls["a"] = lambda task, ctx: ctx.log.info("a\x00\ud800", b="\x00\ud800", c=object(), d=math.nan)

    assert room.finish(workflow({"a": probe("a")})).status == "completed"


def test_progress_with_such_characters_does_no_harm(room, calls):
    calls["a"] = lambda task, ctx: ctx.progress(math.nan, "a\x00\ud800")

    assert room.finish(workflow({"a": probe("a")})).status == "completed"


# ---- time-outs ------------------------------------------------------------------------------------


def test_a_node_past_its_time_has_used_an_attempt_and_is_tried_again(room, calls):
    run = room.start(workflow({"a": probe("a", timeout=5, retry=RETRY)}))
    late = room.claim(run, "a")

    room.pass_time(6.5)
    assert room.statuses(run) == {"a": "retrying"}
    room.bring(late, "too late")

    assert room.until_ended(run).status == "completed"
    assert room.attempts(run, "a") == ["timeout", "completed"]
    assert room.node_output(run, "a") == {}


def test_a_node_past_its_time_after_its_last_attempt_fails(room, calls):
    run = room.start(workflow({"a": probe("a", timeout=5)}))
    room.claim(run, "a")

    room.pass_time(6.5)

    assert (room.status(run), room.error(run)["code"]) == ("failed", "timeout")
    assert "5 s" in room.error(run)["message"]


def test_a_sync_agent_that_asks_is_told_that_its_time_is_over(room, calls):
    def dawdle(task, ctx):
        while True:
            ctx.check_cancelled()

    calls["a"] = dawdle

    run = room.finish(workflow({"a": probe("a", timeout=0.05)}))

    assert (room.error(run.pk)["code"], room.attempts(run.pk, "a")) == ("timeout", ["timeout"])


def test_an_async_agent_is_stopped_when_its_time_is_over(room, calls):
    calls["a"] = lambda task, ctx: asyncio.sleep(60)

    run = room.finish(workflow({"a": probe("a", timeout=0.05)}))

    assert room.error(run.pk)["code"] == "timeout"


def test_a_run_past_its_time_fails_with_everything_in_flight(room, calls):
    run = room.start(workflow({"a": probe("a"), "b": probe("b"), "c": {"type": "wait", "event": "x"}}, timeout=60))
    late = room.claim(run, "a")

    room.pass_time(61)
    room.bring(late, "too late")

    assert (room.status(run), room.error(run)["code"]) == ("failed", "timeout")
    assert set(room.statuses(run).values()) == {"cancelled"}
    assert room.attempts(run, "a") == ["cancelled"]


def test_a_run_that_ended_in_time_stays_as_it_is(room, calls):
    run = room.finish(workflow({"a": probe("a")}, timeout=60))

    room.pass_time(3600)

    assert room.status(run.pk) == "completed"


# ---- error edges ----------------------------------------------------------------------------------


def test_an_error_edge_is_taken_after_the_last_attempt(room, calls):
    calls.fails("a", Retryable("no"), Retryable("still no", code="gone"))
    edges = [{"from": "a", "to": "b", "on": "error", "when": 'error.code == "gone"'}, {"from": "a", "to": "c"}]

    run = room.finish(
        workflow(
            {
                "a": probe("a", retry=RETRY | {"attempts": 2}),
                "b": {"values": {"e": "{{ nodes.a.error.message }}"}},
                "c": {},
            },
            edges,
        )
    )

    assert (run.status, room.output(run)) == ("completed", {"b": {"e": "still no"}})
    assert room.statuses(run.pk) == {"a": "failed", "b": "completed"}
    assert [event.data["handled"] for event in room.events(run.pk, "node.failed")] == [True]


def test_an_error_edge_whose_condition_is_false_does_not_handle_the_failure(room, calls):
    calls.fails("a", Fatal("no", code="other"))
    edges = [{"from": "a", "to": "b", "on": "error", "when": 'error.code == "gone"'}]

    assert room.finish(workflow({"a": probe("a"), "b": {}}, edges)).status == "failed"


def test_a_failure_that_counts_as_handled_goes_on_as_a_success(room, calls):
    calls.fails("a", Fatal("no"))

    run = room.finish(workflow({"a": probe("a", on_error="continue"), "b": {}}, ["a b"]))

    assert (run.status, room.statuses(run.pk)) == ("completed", {"a": "failed", "b": "completed"})


def test_an_unhandled_failure_cancels_what_is_in_flight(room, calls):
    calls.fails("a", Fatal("no"))
    run = room.start(workflow({"a": probe("a"), "b": probe("b"), "c": {}}, ["b c"]))
    slow = room.claim(run, "b")

    room.work()
    room.bring(slow, "too late")

    assert (room.status(run), room.statuses(run)) == ("failed", {"a": "failed", "b": "cancelled"})
    assert room.attempts(run, "b") == ["cancelled"]

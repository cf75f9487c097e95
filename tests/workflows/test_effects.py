"""The ledger of effects: what a crash leaves of a call that was on its way, and who decides about it."""

from collections import Counter

import psycopg
import pytest
from django_scopes import scope

from apps.common.asyncio_loop import Cancelled
from apps.common.errors import Conflict, Fatal, Invalid, Retryable
from apps.integrations import registry
from apps.integrations.tools import ToolContext, tool
from apps.workflows.models import Effect
from apps.workflows.services import effects as ledger
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.transition import again
from apps.workflows.services.unknown_effects import decide_effect
from apps.workflows.store import database
from apps.workflows.store import effects as rows
from tests.engine.documents import workflow
from tests.workflows.probes import probe


class World:
    """The far end: what it was asked under which key, and what it does beside answering."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.surprises: dict[str, list[BaseException]] = {}

    def ask(self, name: str, what: str, ctx: ToolContext) -> str:
        self.calls.append((ctx.idempotency_key, what))
        if waiting := self.surprises.get(what):
            raise waiting.pop(0)
        return f"{name} {what}"

    @property
    def keys(self) -> Counter[str]:
        return Counter(key for key, _ in self.calls)


class Killed(BaseException):
    """The process is gone: nothing that follows in it happens."""


@pytest.fixture
def world():
    world = World()
    known = {one.name for one in registry.all()}

    @tool(name="pay", effect="external_write")
    def pay(ctx: ToolContext, what: str) -> str:
        return world.ask("paid", what, ctx)

    @tool(name="put", effect="external_write", repeat="keyed")
    def put(ctx: ToolContext, what: str) -> str:
        return world.ask("put", what, ctx)

    @tool(name="look", effect="read")
    def look(ctx: ToolContext, what: str) -> str:
        return world.ask("saw", what, ctx)

    @tool(name="post", effect="external_write", repeat="keyed")
    async def post(ctx: ToolContext, what: str) -> str:
        return world.ask("posted", what, ctx)

    yield world
    for one in list(registry.all()):
        if one.name not in known:
            registry.unregister(one.name)


def one(tool_name: str, **fields):
    return workflow({"a": {"type": "tool", "tool": tool_name, "input": {"what": "tea"}, **fields}})


def effects_of(room, run):
    with room.scope():
        return list(Effect.objects.filter(run=run).order_by("call", "created_at"))


def states(room, run):
    return [effect.state for effect in effects_of(room, run)]


def decide(room, run, decision, **said):
    with room.scope():
        unknown = Effect.objects.select_related("run", "node_run").filter(run=run).exclude(state="confirmed").last()
        decide_effect(unknown, decision=decision, by="user:ana", **said)


def die_before(monkeypatch, module, name, *, times=1):
    """The process dies as it is about to call `module.name`."""
    real, left = getattr(module, name), [None] * times

    def dying(*args, **kwargs):
        if left:
            left.pop()
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, dying)


def lose(room, run, node="a"):
    """Executes a node until its process dies, and has the recovery notice."""
    room.execute(room.claim(run, node))
    room.die()


# ---- what is noted --------------------------------------------------------------------------------


def test_a_call_that_changes_something_is_noted_with_its_result(room, world):
    run = room.finish(one("pay")).pk

    (effect,) = effects_of(room, run)
    assert (effect.tool, effect.state, effect.sends, effect.attempt, effect.fence) == ("pay", "confirmed", 1, 1, 1)
    assert effect.key == world.calls[0][0] == f"{run}:a:1:-1:0"
    assert effect.preview == '{"what":"tea"}'
    assert len(effect.digest) == 64
    assert room.output(run) == {"a": "paid tea"}


def test_a_call_that_changes_nothing_leaves_no_row_and_costs_no_statement(room, world, monkeypatch):
    monkeypatch.setattr(ledger, "begin", None)

    run = room.finish(one("look")).pk

    assert (effects_of(room, run), room.output(run)) == ([], {"a": "saw tea"})


def test_what_an_agent_calls_is_noted_too_beside_its_journal(room, calls, world):
    calls["a"] = lambda task, ctx: [ctx.call_tool(name, {"what": "tea"}) for name in ("look", "pay", "put")]

    run = room.finish(workflow({"a": probe("a")})).pk

    assert [(e.call, e.tool, e.state, e.on_unknown) for e in effects_of(room, run)] == [
        (2, "pay", "confirmed", "ask"),
        (3, "put", "confirmed", "retry"),
    ]
    assert room.output(run) == {"a": ["saw tea", "paid tea", "put tea"]}


def test_secrets_in_the_arguments_are_not_kept(room, world):
    @tool(name="signed", effect="external_write")
    def signed(headers: dict[str, str], password: str) -> str:
        return "ok"

    given = {"headers": {"Authorization": "Bearer abcdefghijkl", "X-Api-Key": "k-123456"}, "password": "hunter2"}
    run = room.finish(workflow({"a": {"type": "tool", "tool": "signed", "input": given}})).pk

    (effect,) = effects_of(room, run)
    assert not any(secret in effect.preview for secret in ("abcdefghijkl", "k-123456", "hunter2"))


def test_input_that_does_not_fit_sends_nothing_and_notes_nothing(room, world):
    run = room.finish(workflow({"a": {"type": "tool", "tool": "pay", "input": {}}}))

    assert (run.error["code"], effects_of(room, run.pk), world.calls) == ("invalid_input", [], [])


# ---- what a crash leaves --------------------------------------------------------------------------


def test_a_call_that_never_went_out_is_made_by_the_next_attempt(room, world, monkeypatch):
    die_before(monkeypatch, ledger, "begin")
    run = room.start(one("pay"))

    lose(room, run)

    assert (effects_of(room, run), world.calls) == ([], [])
    assert room.until_ended(run).status == "completed"
    assert sum(world.keys.values()) == 1


def test_a_call_whose_answer_was_kept_is_not_made_again(room, world, monkeypatch):
    run = room.start(one("pay"))
    lose(room, run)

    assert room.until_ended(run).status == "completed"
    assert room.output(run) == {"a": "paid tea"}
    assert (len(world.calls), states(room, run)) == (1, ["confirmed"])


@pytest.mark.parametrize("name", ["put", "post"])
def test_a_call_in_flight_goes_out_again_with_its_key_where_that_does_no_harm(room, world, monkeypatch, name):
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one(name))

    lose(room, run)
    assert states(room, run) == ["sent"]
    room.until_ended(run)

    assert (room.status(run), len(world.calls), len(world.keys)) == ("completed", 2, 1)
    (effect,) = effects_of(room, run)
    assert (effect.state, effect.sends, effect.fence) == ("confirmed", 2, 2)


def test_a_call_in_flight_that_must_not_be_repeated_waits_for_a_person(room, world, monkeypatch):
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one("pay", retry={"attempts": 5}))

    lose(room, run)
    room.until_ended(run)

    assert (room.status(run), room.error(run)["code"]) == ("failed", "effect_unknown")
    assert (len(world.calls), states(room, run)) == (1, ["unknown"])


def test_the_node_may_say_that_repeating_does_no_harm(room, world, monkeypatch):
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one("pay", on_unknown="retry"))

    lose(room, run)

    assert room.until_ended(run).status == "completed"
    assert (len(world.calls), len(world.keys)) == (2, 1)


def test_the_node_may_say_that_it_has_failed_then(room, world, monkeypatch):
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one("put", on_unknown="fail"))

    lose(room, run)
    room.until_ended(run)

    assert (room.status(run), room.error(run)["code"], states(room, run)) == ("failed", "effect_unknown", ["failed"])
    assert effects_of(room, run)[0].decided_by == "on_unknown"
    assert len(world.calls) == 1


def test_an_error_edge_takes_what_is_unknown(room, world, monkeypatch):
    die_before(monkeypatch, ledger, "confirm")
    document = one("pay")
    document["nodes"]["b"] = {"type": "set"}
    document["edges"] = [{"from": "a", "to": "b", "on": "error"}]
    run = room.start(document)

    lose(room, run)

    assert room.until_ended(run).status == "completed"
    assert states(room, run) == ["unknown"]


def test_each_item_of_a_map_has_an_effect_of_its_own(room, world):
    inner = {"type": "tool", "tool": "pay", "input": {"what": "{{ item }}"}}
    run = room.finish(workflow({"m": {"type": "map", "over": ["a", "b"], "node": inner}})).pk

    assert sorted(effect.key for effect in effects_of(room, run)) == [f"{run}:m:1:0:0", f"{run}:m:1:1:0"]


# ---- answers that are none ------------------------------------------------------------------------


def test_a_call_that_the_other_side_refused_has_failed_and_is_tried_again_by_the_retry_policy(room, world):
    world.surprises["tea"] = [Retryable("Busy.")]

    run = room.finish(one("pay", retry={"attempts": 3})).pk

    (effect,) = effects_of(room, run)
    assert (room.status(run), effect.state, effect.sends, len(world.keys)) == ("completed", "confirmed", 2, 1)


@pytest.mark.parametrize(
    "error", [Retryable("Cut.", in_doubt=True), Fatal("Odd answer.", in_doubt=True), ConnectionResetError()]
)
def test_a_call_without_a_clear_answer_is_not_repeated_by_the_retry_policy(room, world, error):
    world.surprises["tea"] = [error]

    run = room.finish(one("pay", retry={"attempts": 3})).pk

    assert (room.status(run), len(world.calls), states(room, run)) == ("failed", 1, ["unknown"])


def test_the_same_call_is_repeated_where_that_does_no_harm(room, world):
    world.surprises["tea"] = [Retryable("Cut.", in_doubt=True), ConnectionResetError()]

    run = room.finish(one("put", retry={"attempts": 3})).pk

    assert (room.status(run), len(world.calls), len(world.keys)) == ("completed", 3, 1)


def test_a_result_that_does_not_fit_the_schema_came_of_a_call_that_happened(room, world):
    @tool(name="odd", effect="external_write")
    def odd() -> int:
        return "many"  # type: ignore[return-value]

    run = room.finish(workflow({"a": {"type": "tool", "tool": "odd", "input": {}}}))

    assert (run.error["code"], states(room, run.pk)) == ("invalid_output", ["unknown"])


def test_a_cancelled_run_leaves_a_call_in_flight_as_unknown(room, world, alice, monkeypatch):
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one("pay"))
    room.execute(room.claim(run, "a"))

    room.cancel(run)

    (shown,) = alice.client.get("/v1/effects?state=unknown").json()["items"]
    assert (shown["state"], shown["run"]) == ("unknown", str(run))


def test_an_attempt_that_ran_out_of_time_leaves_its_call_unknown(room, world):
    run = room.start(one("pay", timeout=5, retry={"attempts": 2}))
    call = ledger.planned_call(room.claim(run, "a").row, 0, registry.get("pay"), {"what": "tea"}, None)
    ledger.begin(call, None)

    room.pass_time(7)
    room.until_ended(run)

    assert (room.error(run)["code"], states(room, run), world.calls) == ("effect_unknown", ["unknown"], [])
    assert room.attempts(run, "a") == ["timeout", "failed"]


def test_the_ledger_waits_for_a_database_that_comes_back(room, world, monkeypatch):
    """It is away for longer than anybody waits for an answer, at every step of the protocol."""
    real, away = ledger.transaction, [0]

    def flaky():
        away[0] += 1
        if away[0] % 15:
            raise psycopg.OperationalError("the server is starting")
        return real()

    monkeypatch.setattr(ledger, "transaction", flaky)
    monkeypatch.setattr(database.time, "sleep", lambda _: None)

    run = room.finish(one("pay")).pk

    assert (room.status(run), len(world.calls), states(room, run)) == ("completed", 1, ["confirmed"])


# ---- zombies --------------------------------------------------------------------------------------


def test_a_zombie_starts_no_call(room, world):
    run = room.start(one("pay"))
    late, frozen = room.claim(run, "a"), room.worker
    room.die()
    room.claim(run, "a", worker=room.another_worker())

    room.execute(late, worker=frozen)

    assert (world.calls, effects_of(room, run)) == ([], [])


def test_a_zombie_writes_nothing_about_a_call_it_had_begun(room, world):
    """It wakes in the middle of its call, after another attempt has sent that again."""
    run = room.start(one("put"))
    late, frozen = room.claim(run, "a"), room.worker
    call = ledger.planned_call(late.row, 0, registry.get("put"), {"what": "tea"}, None)
    ledger.begin(call, None)
    room.die()
    other = room.claim(run, "a", worker=(second := room.another_worker()))

    with pytest.raises(Cancelled):
        ledger.confirm(call, "of the zombie")
    with pytest.raises(Cancelled):
        ledger.begin(call, None)
    ledger.fail(call, Fatal("no"))

    room.bring(other, room.execute(other, worker=second), worker=second)
    assert room.output(run) == {"a": "put tea"}
    assert frozen is not second


def test_an_answer_that_comes_late_counts_as_long_as_nobody_has_taken_over(room, world):
    run = room.start(one("pay"))
    slow = room.claim(run, "a")
    call = ledger.planned_call(slow.row, 0, registry.get("pay"), {"what": "tea"}, None)
    ledger.begin(call, None)
    room.die()

    ledger.confirm(call, "in the end")

    assert room.until_ended(run).status == "completed"
    assert (room.output(run), world.calls) == ({"a": "in the end"}, [])


def test_the_lost_answer_to_its_own_commit_does_not_stop_an_attempt(room, world):
    run = room.start(one("pay"))
    row = room.claim(run, "a").row
    call = ledger.planned_call(row, 0, registry.get("pay"), {"what": "tea"}, None)

    assert ledger.begin(call, None) is None
    assert ledger.begin(call, None) is None

    assert states(room, run) == ["sent"]


def test_calls_in_another_order_are_a_fault_and_not_another_call(room, calls, world, monkeypatch):
    order = [["pay", "put"], ["put", "pay"]]
    die_before(monkeypatch, ledger, "confirm")
    calls["a"] = lambda task, ctx: [ctx.call_tool(name, {"what": "tea"}) for name in order.pop(0)]
    run = room.start(workflow({"a": probe("a")}))

    lose(room, run)
    room.until_ended(run)

    assert "was 'pay' in an earlier attempt and is 'put' now" in room.error(run)["message"]


# ---- what must not run twice ----------------------------------------------------------------------


def test_a_node_that_must_not_run_twice_leaves_an_effect_to_decide(room, calls):
    run = room.start(workflow({"a": probe("a", idempotent=False)}))
    room.claim(run, "a")

    room.die()

    (effect,) = effects_of(room, run)
    assert (effect.tool, effect.call, effect.state) == ("", 0, "unknown")
    assert room.error(run)["details"] == {"effect": str(effect.pk)}


def test_a_worker_that_stops_in_the_middle_of_it_leaves_the_same(room, calls):
    run = room.start(workflow({"a": probe("a", idempotent=False)}))
    claim = room.claim(run, "a")

    def hand_back(transition):
        transition.read([claim.row.id])
        again.release(transition, transition.rows[claim.row.id])

    act_on_run(run, hand_back)

    assert (room.status(run), room.error(run)["code"], states(room, run)) == ("failed", "effect_unknown", ["unknown"])


def test_a_tool_whose_answer_is_kept_is_finished_although_it_must_not_run_twice(room, world):
    run = room.start(one("pay", idempotent=False))

    lose(room, run)

    assert room.until_ended(run).status == "completed"
    assert (room.output(run), len(world.calls)) == ({"a": "paid tea"}, 1)


# ---- decisions ------------------------------------------------------------------------------------


@pytest.fixture
def unknown(room, world, monkeypatch):
    """A run that has failed because nobody knows whether its call happened."""
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one("pay"))
    lose(room, run)
    room.until_ended(run)
    return run


def test_it_happened_and_the_run_goes_on_with_the_result(room, world, unknown):
    decide(room, unknown, "happened", result="paid by hand")

    assert room.until_ended(unknown).status == "completed"
    assert (room.output(unknown), len(world.calls)) == ({"a": "paid by hand"}, 1)
    (effect,) = effects_of(room, unknown)
    assert (effect.state, effect.decision, effect.decided_by) == ("confirmed", "happened", "user:ana")


def test_it_happened_without_a_result(room, world, unknown):
    decide(room, unknown, "happened")

    assert room.until_ended(unknown).status == "completed"
    assert room.output(unknown) == {"a": None}


def test_it_did_not_happen_and_is_sent_again_with_the_same_key(room, world, unknown):
    decide(room, unknown, "retry")
    assert states(room, unknown) == ["planned"]

    assert room.until_ended(unknown).status == "completed"
    assert (room.output(unknown), len(world.calls), len(world.keys)) == ({"a": "paid tea"}, 2, 1)


def test_giving_up_leaves_the_run_failed(room, world, unknown):
    decide(room, unknown, "fail", comment="Too late.")

    assert (room.status(unknown), states(room, unknown), len(world.calls)) == ("failed", ["failed"], 1)


def test_the_first_decision_counts(room, unknown):
    decide(room, unknown, "fail")

    with pytest.raises(Conflict, match="Already decided as 'fail' by user:ana") as caught:
        decide(room, unknown, "happened")

    assert caught.value.code == "already_decided"


def test_a_result_that_the_tool_cannot_give_is_refused_with_its_place(room, unknown):
    with pytest.raises(Invalid) as caught:
        decide(room, unknown, "happened", result=[7])

    assert [error.pointer for error in caught.value.errors] == ["/result"]
    assert states(room, unknown) == ["unknown"]


def test_a_run_is_not_retried_over_an_undecided_effect(room, unknown):
    with pytest.raises(Conflict) as caught:
        room.retry(unknown)

    assert caught.value.code == "effects_undecided"
    assert caught.value.extra["effects"] == [str(effects_of(room, unknown)[0].pk)]


def test_it_goes_on_when_the_last_effect_it_stopped_for_is_decided(room, world, monkeypatch):
    die_before(monkeypatch, ledger, "confirm", times=2)
    run = room.start(workflow({name: one("pay")["nodes"]["a"] for name in ("a", "b")}))
    first, second = room.claim(run, "a"), room.claim(run, "b")
    room.execute(first)
    room.execute(second)
    room.die()
    room.until_ended(run)

    decide(room, run, "retry")
    assert room.status(run) == "failed"
    with room.scope():
        other = Effect.objects.select_related("run", "node_run").get(run=run, decided_at=None)
        decide_effect(other, decision="happened", by="user:ana", result="paid b")

    assert room.until_ended(run).status == "completed"
    assert (len(world.calls), len(world.keys)) == (3, 2)


def test_a_node_that_must_not_run_twice_completes_with_what_a_person_says(room, calls):
    run = room.start(
        workflow({"a": probe("a", idempotent=False), "b": {"values": {"v": "{{ nodes.a.output }}"}}}, ["a b"])
    )
    room.claim(run, "a")
    room.die()

    decide(room, run, "happened", result={"by": "hand"})

    assert room.until_ended(run).status == "completed"
    assert (room.output(run), calls.calls["a"]) == ({"b": {"v": {"by": "hand"}}}, 0)


def test_it_runs_again_when_a_person_says_that_it_did_not_happen(room, calls):
    run = room.start(workflow({"a": probe("a", idempotent=False)}))
    room.claim(run, "a")
    room.die()

    decide(room, run, "retry")

    assert room.until_ended(run).status == "completed"
    assert calls.calls["a"] == 1


def test_what_an_agent_was_in_the_middle_of_goes_on_there(room, calls, world, monkeypatch):
    die_before(monkeypatch, ledger, "confirm")
    calls["a"] = lambda task, ctx: [ctx.call_tool("pay", {"what": what}) for what in ("tea", "cake")]
    run = room.start(workflow({"a": probe("a")}))
    lose(room, run)
    room.until_ended(run)

    decide(room, run, "happened", result="paid by hand")

    assert room.until_ended(run).status == "completed"
    assert room.output(run) == {"a": ["paid by hand", "paid cake"]}
    assert [what for _, what in world.calls] == ["tea", "cake"]


def test_a_decision_in_a_child_run_sends_the_whole_of_it_on(room, world, monkeypatch):
    room.save({**one("pay"), "name": "child"})
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(workflow({"c": {"type": "workflow", "workflow": "child"}}))
    room.work(most=1)
    (child,) = room.children(run)
    lose(room, child.pk)
    room.until_ended(run)
    assert (room.status(run), room.status(child.pk)) == ("failed", "failed")

    decide(room, child.pk, "happened", result="paid by hand")

    assert room.until_ended(run).status == "completed"
    assert (room.output(run), len(world.calls)) == ({"c": {"a": "paid by hand"}}, 1)


def test_what_an_error_edge_has_taken_is_noted_and_not_tried_again(room, world, monkeypatch):
    die_before(monkeypatch, ledger, "confirm")
    document = one("pay", on_error="continue")
    document["nodes"]["b"] = {"type": "fail"}
    document["edges"] = ["a b"]
    run = room.start(workflow(document["nodes"], ["a b"]))
    lose(room, run)
    room.until_ended(run)

    with pytest.raises(Conflict, match="has not stopped for this effect") as caught:
        decide(room, run, "retry")
    decide(room, run, "happened")

    assert caught.value.code == "wrong_status"
    assert (room.status(run), states(room, run)) == ("failed", ["confirmed"])


def test_a_known_effect_is_not_decided(room, world):
    run = room.finish(one("pay")).pk

    with room.scope(), pytest.raises(Conflict) as caught:
        decide_effect(Effect.objects.get(run=run), decision="fail", by="user:ana")

    assert caught.value.code == "effect_known"


# ---- the ledger's own guards ----------------------------------------------------------------------


def test_the_key_never_contains_the_fence(room, world, monkeypatch):
    run = room.start(one("put"))
    row = room.claim(run, "a").row
    key = rows.key_of(row, 0)
    row.fence, row.attempt, row.lost_count = 99, 98, 97

    assert rows.key_of(row, 0) == key == f"{run}:a:1:-1:0"


def test_effects_belong_to_their_organization(room, world, charlie):
    run = room.finish(one("pay")).pk

    with scope(organization=charlie.organization):
        assert not Effect.objects.filter(run=run).exists()

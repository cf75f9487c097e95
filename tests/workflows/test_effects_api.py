"""Effects over HTTP and on the command line."""

import json

import django.db
import pytest
from django.core.management import load_command_class

from apps.common.errors import Fatal
from apps.integrations import registry
from apps.integrations.tools import ToolContext, tool
from apps.workflows.services import effects as ledger
from tests.engine.documents import workflow

PAY = {"type": "tool", "tool": "pay", "input": {"amount": 5, "token": "s3cret"}}


class Killed(BaseException):
    """The process is gone: nothing that follows in it happens."""


@pytest.fixture(autouse=True)
def pay():
    @tool(name="pay", effect="external_write")
    def pay(ctx: ToolContext, amount: int, token: str = "") -> dict[str, int]:
        return {"paid": amount}

    yield
    registry.unregister("pay")


@pytest.fixture
def unknown(room, monkeypatch):
    """A run that has failed because nobody knows whether its call happened."""

    def dying(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "confirm", dying)
        run = room.start(workflow({"a": PAY}))
        room.execute(room.claim(run, "a"))
        room.die()
    room.until_ended(run)
    return run


def effects_of(actor, run, query=""):
    answer = actor.client.get(f"/v1/runs/{run}/effects{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["items"]


def decide(actor, effect, **body):
    return actor.client.post(f"/v1/effects/{effect['id']}", body, format="json")


def fault(answer):
    assert answer["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    return answer.status_code, error["pointer"], bool(error.get("fix"))


# ---- looking --------------------------------------------------------------------------------------


def test_an_effect_is_shown_with_what_is_known_and_without_secrets(room, alice, bob):
    run = room.finish(workflow({"a": PAY})).pk

    (effect,) = effects_of(bob, run)

    known = {"state": "confirmed", "tool": "pay", "node": "a", "visit": 1, "index": None, "call": 0, "sends": 1}
    assert effect | known == effect
    assert effect["idempotency_key"] == f"{run}:a:1:-1:0"
    assert effect["arguments_preview"] == '{"amount":5,"token":"***"}'
    assert alice.client.get(effect["url"]).json()["result"] == {"paid": 5}


def test_a_list_is_paged_and_filtered(room, alice):
    run = room.finish(workflow({"m": {"type": "map", "over": [1, 2, 3], "node": PAY}})).pk
    room.finish(workflow({"a": {"type": "tool", "tool": "outbox.send", "input": {"to": "ada"}}}))

    first = alice.client.get(f"/v1/runs/{run}/effects?limit=2").json()
    second = alice.client.get(f"/v1/runs/{run}/effects?limit=2&cursor={first['next_cursor']}").json()

    assert [effect["index"] for effect in first["items"] + second["items"]] == [0, 1, 2]
    assert second["next_cursor"] is None
    assert len(alice.client.get("/v1/effects").json()["items"]) == 4
    assert [one["tool"] for one in alice.client.get("/v1/effects?tool=outbox.send").json()["items"]] == ["outbox.send"]
    assert alice.client.get("/v1/effects?state=unknown,failed").json()["items"] == []


def test_what_waits_for_a_decision_is_a_list_of_its_own(room, alice, charlie, unknown):
    room.finish(workflow({"a": PAY}))

    (effect,) = alice.client.get("/v1/effects?state=unknown").json()["items"]

    assert effect["run"] == str(unknown)
    assert charlie.client.get("/v1/effects?state=unknown").json()["items"] == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("?state=lost", "/query/state"),
        ("?would_repeat=cancel", "/query/would_repeat"),
        ("?would_repeat=fork", "/query/from_node"),
        ("?from_node=a", "/query/from_node"),
        ("?visit=1", "/query/visit"),
        ("?would_repeat=fork&from_node=a&visit=0", "/query/visit"),
    ],
)
def test_a_senseless_question_is_refused_with_its_place(room, alice, query, pointer):
    run = room.finish(workflow({"a": PAY})).pk

    answer = alice.client.get(f"/v1/runs/{run}/effects{query}")

    assert fault(answer)[:2] == (400, pointer)


# ---- before repeating -----------------------------------------------------------------------------


def test_a_retry_would_send_again_what_was_refused_and_nothing_that_was_confirmed(room, alice):
    @tool(name="refuse", effect="external_write")
    def refuse() -> None:
        raise Fatal("No.")

    nodes = {"a": PAY, "b": {"type": "tool", "tool": "refuse"}}
    run = room.finish(workflow(nodes, ["a b"])).pk
    registry.unregister("refuse")

    assert [effect["node"] for effect in effects_of(alice, run, "?would_repeat=retry")] == ["b"]
    assert [effect["node"] for effect in effects_of(alice, run)] == ["a", "b"]


def test_a_retry_repeats_nothing_that_a_person_has_to_decide_first(room, alice, unknown):
    assert effects_of(alice, unknown, "?would_repeat=retry") == []


def test_a_retry_repeats_nothing_in_a_run_that_has_not_failed(room, alice):
    run = room.finish(workflow({"a": PAY})).pk

    assert effects_of(alice, run, "?would_repeat=retry") == []


def test_a_fork_would_repeat_what_it_does_not_take_over(room, alice):
    run = room.finish(workflow(dict.fromkeys("abc", PAY), ["a b", "b c"])).pk

    assert [effect["node"] for effect in effects_of(alice, run, "?would_repeat=fork&from_node=b")] == ["b", "c"]
    assert [effect["node"] for effect in effects_of(alice, run, "?would_repeat=fork&from_node=a")] == ["a", "b", "c"]


def test_a_fork_at_a_node_that_never_ran_is_refused_with_its_place(room, alice):
    run = room.finish(workflow({"a": PAY})).pk

    answer = alice.client.get(f"/v1/runs/{run}/effects?would_repeat=fork&from_node=aa")

    assert fault(answer) == (422, "/from_node", True)


# ---- deciding -------------------------------------------------------------------------------------


def test_a_decision_sends_the_run_on(room, alice, unknown):
    (effect,) = effects_of(alice, unknown)

    answer = decide(alice, effect, decision="happened", result={"paid": 5}, comment="The bank says so.")

    body = answer.json()
    assert (answer.status_code, body["state"], body["result"]) == (200, "confirmed", {"paid": 5})
    assert (body["decision"], body["comment"]) == ("happened", "The bank says so.")
    assert body["decided_by"].startswith("key:ork_live_")
    assert room.until_ended(unknown).status == "completed"


def test_a_second_decision_is_a_conflict_that_names_the_first(room, alice, unknown):
    (effect,) = effects_of(alice, unknown)
    decide(alice, effect, decision="fail")

    answer = decide(alice, effect, decision="retry")

    assert (answer.status_code, answer.json()["code"]) == (409, "already_decided")
    assert "Already decided as 'fail'" in answer.json()["detail"]


def test_a_decision_under_the_same_idempotency_key_is_made_once(room, alice, unknown):
    (effect,) = effects_of(alice, unknown)
    send = {"path": effect["url"], "data": {"decision": "fail"}, "format": "json"}

    answers = [alice.client.post(**send, headers={"Idempotency-Key": "d1"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1]["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, (400, "/decision")),
        ({"decision": "maybe"}, (400, "/decision")),
        ({"decision": "fail", "why": 1}, (400, "/why")),
        ({"decision": "happened", "comment": 7 * ["x"]}, (400, "/comment")),
        ({"decision": "happened", "result": {"paid": "a lot"}}, (422, "/result")),
        ({"decision": "retry", "result": {"paid": 5}}, (422, "/result")),
    ],
)
def test_a_decision_that_cannot_be_is_refused_with_its_place_and_changes_nothing(alice, unknown, body, place):
    (effect,) = effects_of(alice, unknown)

    answer = decide(alice, effect, **body)

    assert fault(answer)[:2] == place
    assert effects_of(alice, unknown)[0]["state"] == "unknown"


def test_who_may_only_look_decides_nothing(alice, bob, charlie, unknown):
    (effect,) = effects_of(bob, unknown)

    assert decide(bob, effect, decision="fail").status_code == 403
    assert decide(charlie, effect, decision="fail").status_code == 404
    assert effects_of(alice, unknown)[0]["state"] == "unknown"


def test_a_retry_over_an_undecided_effect_is_a_conflict_that_names_it(alice, unknown):
    (effect,) = effects_of(alice, unknown)

    answer = alice.client.post(f"/v1/runs/{unknown}/retry")

    assert (answer.status_code, answer.json()["code"]) == (409, "effects_undecided")
    assert answer.json()["effects"] == [effect["id"]]


def test_a_definition_that_says_nonsense_about_the_unknown_is_refused_with_its_place(alice):
    document = workflow({"a": {**PAY, "on_unknown": "hope"}})

    answer = alice.client.post("/v1/runs", {"definition": document}, format="json")

    assert fault(answer)[:2] == (422, "/definition/nodes/a/on_unknown")


# ---- the command ----------------------------------------------------------------------------------


@pytest.fixture
def manage(capsys, monkeypatch, organization):
    """Run `effects ...` as from a shell: exit code, what it printed, what it said."""
    monkeypatch.setattr(django.db.connections, "close_all", lambda: None)

    def manage(*arguments):
        code = 0
        try:
            command = load_command_class("apps.workflows", "effects")
            command.run_from_argv(["manage.py", "effects", *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return manage


def test_the_command_shows_and_decides(room, manage, unknown):
    code, out, err = manage("list")
    assert (code, "unknown" in out, "pay" in out, "effects show" in err) == (0, True, True, True)
    (effect,) = json.loads(manage("list", "--json")[1])["items"]
    _, out, err = manage("show", effect["id"])
    assert ('"amount":5' in out, "effects decide" in err) == (True, True)

    code, out, _ = manage("decide", effect["id"], "happened", "--result", '{"paid": 5}', "--json")

    assert (code, json.loads(out)["state"]) == (0, "confirmed")
    assert room.until_ended(unknown).status == "completed"
    assert manage("decide", effect["id"], "fail")[0] == 4  # its state does not allow this


def test_the_command_shows_what_would_be_repeated(room, manage):
    run = room.finish(workflow(dict.fromkeys("ab", PAY), ["a b"])).pk

    shown = json.loads(manage("list", run, "--would-repeat", "fork", "--from", "b", "--json")[1])["items"]

    assert [effect["node"] for effect in shown] == ["b"]
    assert manage("list", "--would-repeat", "retry")[0] == 2
    assert manage("list", run, "--would-repeat", "fork")[0] == 2
    assert len(json.loads(manage("list", run, "--json")[1])["items"]) == 2

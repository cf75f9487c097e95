"""Agents outside over the API: they join, show themselves, fetch tasks, bring results, and leave."""

from datetime import timedelta
from functools import partial

import pytest
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from apps.agents import registry
from apps.agents.models import AgentTask
from apps.agents.services import live, publishing, remote_tasks
from apps.agents.services import sweep as sweeping
from apps.agents.services.remote_tasks import Wanted
from apps.agents.services.sweep import sweep, tidy
from apps.agents.store import figures
from apps.agents.store.figures import BREAKER_FAILURES
from apps.common import redis
from tests.agents.live import beat, claim, finish, instance, join, pass_time, tasks

SEED = {
    "name": "text-processor-1",
    "agent_type": "text_processor",
    "capabilities": [{"name": "sentiment_analysis", "input_types": ["text"], "output_types": ["json"]}],
}


@pytest.fixture
def ask(organization):
    """Open a task for the agent `shouter`, as a node does."""

    def opened(key="k", **wanted):
        asked = Wanted(**{"key": key, "agent": "shouter", "capability": "", "input": "hello", "config": None, **wanted})
        with scope(organization=organization):
            return remote_tasks.open_task(organization.pk, asked)

    return opened


@pytest.fixture
def committing(django_capture_on_commit_callbacks):
    return partial(django_capture_on_commit_callbacks, execute=True)


def test_an_agent_registers_with_the_first_payload_there_was(alice):
    answer = alice.client.post("/v1/agents/register", SEED, format="json")

    assert answer.status_code == 201
    told = answer.json()
    assert (told["name"], told["agent"], told["state"], told["kind"]) == (
        "text-processor-1", "text_processor", "idle", "remote",
    )  # fmt: skip
    assert told["secret"].startswith("whsec_")


def test_registering_again_changes_nothing_and_tells_no_secret(alice):
    first = join(alice, "one")
    again = alice.client.post(
        "/v1/agents/register",
        {"name": "one", "agent_type": "shouter", "capabilities": ["shout"], "max_concurrency": 3},
        format="json",
    )

    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert again.json()["secret"] is None
    assert again.json()["max_concurrency"] == 3


def test_a_new_secret_is_made_when_it_is_asked_for(alice):
    first = join(alice, "one")["secret"]

    second = join(alice, "one", new_secret=True)["secret"]

    assert second
    assert second != first
    assert second.removeprefix("whsec_") not in str(instance("one").__dict__)


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"name": "no spaces"}, "/name"),
        ({"name": "route"}, "/name"),
        ({"max_concurrency": 0}, "/max_concurrency"),
        ({"endpoint": "http://169.254.169.254/x"}, "/endpoint"),
        ({"endpoint": "nonsense"}, "/endpoint"),
        ({"heartbeat_interval": 0}, "/heartbeat_interval"),
        ({"input_schema": {"type": "nonsense"}}, "/input_schema"),
        ({"capabilities": [{"nmae": "x"}]}, "/capabilities/0"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_what_is_wrong_with_it_is_named(alice, wrong, pointer):
    answer = alice.client.post("/v1/agents/register", {"name": "one", **wrong}, format="json")

    assert answer.status_code in {400, 422}
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize("silent_for", [31, 1000])
def test_silent_for_three_intervals_is_unhealthy_and_gets_nothing(alice, in_scope, silent_for):
    join(alice, "one", heartbeat_interval=10)
    claim(alice, "one")
    assert registry.get_for(in_scope.pk, "shouter").has_room

    pass_time(silent_for, "one")

    shown = alice.client.get("/v1/agents/instances/one").json()
    assert (shown["state"], shown["health"]) == ("offline", "unhealthy")
    assert not registry.get_for(in_scope.pk, "shouter").has_room
    sweep()
    assert instance("one").state == "offline"
    beat(alice, "one")
    assert alice.client.get("/v1/agents/instances/one").json()["health"] == "healthy"


def test_the_organization_knows_an_agent_whose_last_instance_is_gone(alice, in_scope):
    join(alice, "one")
    join(alice, "two")
    alice.client.delete("/v1/agents/one")
    pass_time(3 * 86_400, "one", "two")
    sweep()

    tidy()

    with pytest.raises(Exception, match="does not exist"):
        instance("one")
    assert registry.get_for(in_scope.pk, "shouter").kind == "remote"


def test_a_task_is_fetched_and_its_result_is_taken_once(alice, ask):
    join(alice, "one")
    ask()

    task = claim(alice, "one")

    assert (task["input"], task["fence"], task["idempotency_key"]) == ("hello", 1, "k")
    assert claim(alice, "one") is None, "it has room for one"
    assert finish(alice, "one", task, output="HELLO").json()["state"] == "completed"
    assert finish(alice, "one", task, output="HELLO").status_code == 200
    assert [one.output for one in tasks()] == ["HELLO"]


def test_a_claim_waits_for_a_task(alice, ask):
    join(alice, "one")
    assert claim(alice, "one", wait=0.3) is None
    ask()
    assert claim(alice, "one", wait=20)["input"] == "hello"


def test_heartbeats_keep_the_lease_of_a_long_task(alice, ask):
    join(alice, "one", heartbeat_interval=10)
    join(alice, "two", heartbeat_interval=10)
    ask()
    task = claim(alice, "one")

    for _ in range(5):
        pass_time(20)
        beat(alice, "one", tasks=[{"id": task["id"], "fence": task["fence"]}])
        sweep()

    assert claim(alice, "two") is None
    assert finish(alice, "one", task, output=1).status_code == 200


def test_the_task_of_who_died_goes_to_another_and_its_late_result_is_refused(alice, ask):
    join(alice, "one", heartbeat_interval=10)
    join(alice, "two", heartbeat_interval=10)
    ask()
    dead = claim(alice, "one")

    pass_time(31, "one")
    sweep()
    taken_over = claim(alice, "two")
    late = finish(alice, "one", dead, output="late")

    assert (taken_over["id"], taken_over["fence"]) == (dead["id"], 2)
    assert (late.status_code, late.json()["code"]) == (409, "stale_fence")
    assert finish(alice, "two", taken_over, output="HELLO").status_code == 200
    assert [one.output for one in tasks()] == ["HELLO"]


def test_a_result_that_is_only_late_is_taken(alice, ask):
    join(alice, "one", heartbeat_interval=10)
    ask()
    task = claim(alice, "one")

    pass_time(31, "one")
    sweep()

    assert tasks()[0].state == "queued"
    assert finish(alice, "one", task, output="HELLO").status_code == 200


def test_a_process_that_starts_anew_has_lost_what_it_held(alice, ask):
    join(alice, "one", process="a")
    ask()
    claim(alice, "one")
    join(alice, "one", process="a")
    assert tasks()[0].state == "claimed", "the same process only said it again"

    join(alice, "one", process="b")

    assert (tasks()[0].state, tasks()[0].lost_count) == ("queued", 1)


def test_what_nobody_wants_any_more_is_told_with_the_heartbeat(alice, ask, in_scope):
    join(alice, "one")
    task = claim(alice, "one") or (ask(), claim(alice, "one"))[1]

    remote_tasks.withdraw(tasks()[0])

    told = beat(alice, "one", tasks=[{"id": task["id"], "fence": task["fence"]}])
    assert told["withdrawn"] == [task["id"]]
    late = finish(alice, "one", task, output=1)
    assert (late.status_code, late.json()["code"]) == (409, "task_ended")


def test_a_task_that_kills_whoever_takes_it_is_given_up(alice, ask):
    join(alice, "one", heartbeat_interval=10)
    ask()

    for _ in range(5):
        claim(alice, "one")
        pass_time(31)
        sweep()

    assert (tasks()[0].state, tasks()[0].error["code"]) == ("failed", "agent_lost")


def test_drain_resume_and_disable(alice, ask):
    join(alice, "one", max_concurrency=2)
    ask("a")
    ask("b")
    task = claim(alice, "one")

    assert alice.client.post("/v1/agents/one/drain").json()["state"] == "draining"
    assert alice.client.post("/v1/agents/one/drain").status_code == 200, "twice is once"
    assert claim(alice, "one") is None
    assert beat(alice, "one")["mode"] == "draining"
    assert finish(alice, "one", task, output=1).status_code == 200, "what it has it finishes"

    assert alice.client.post("/v1/agents/one/resume").json()["state"] == "idle"
    assert claim(alice, "one") is not None
    assert alice.client.post("/v1/agents/one/disable").json()["state"] == "disabled"
    assert tasks()[1].state == "queued", "what it had goes to others"


def test_who_may_do_what(alice, guard, ask):
    join(alice, "one")
    ask()
    path = "/v1/agents/one"
    guard("get", "/v1/agents/instances/one")
    guard("post", f"{path}/heartbeat", {"load": 0}, needs="run")
    task = guard("post", f"{path}/tasks/claim", {}, needs="run").json()["task"]
    done = {"fence": task["fence"], "status": "failed", "error": {"message": "No."}}
    guard("post", f"{path}/tasks/{task['id']}", done, needs="run")
    for act in ("drain", "resume", "disable"):
        guard("post", f"{path}/{act}", needs="run")
    guard("delete", path, needs="run")


def test_another_organization_neither_sees_an_agent_nor_gets_its_tasks(alice, charlie, ask):
    join(alice, "one")
    join(charlie, "theirs")
    ask()

    assert charlie.client.get("/v1/agents/shouter").json()["instances"] == 1
    assert [one["name"] for one in charlie.client.get("/v1/agents/instances").json()["items"]] == ["theirs"]
    assert claim(charlie, "theirs") is None
    task = claim(alice, "one")
    assert finish(charlie, "theirs", task, output=1).status_code == 404


def test_the_catalogue_shows_it(alice, bob, charlie):
    join(alice, "one", description="Says it louder.", max_concurrency=4, cost={"usd_per_call": 0.02})

    shown = bob.client.get("/v1/agents/shouter").json()
    assert (shown["kind"], shown["description"], shown["instances"]) == ("remote", "Says it louder.", 1)
    assert shown["cost"] == {"usd_per_call": 0.02}
    assert "shouter" in [one["name"] for one in bob.client.get("/v1/agents?capability=shout").json()["items"]]
    assert charlie.client.get("/v1/agents/shouter").status_code == 404


def test_redis_knows_who_is_there_and_knows_it_again_after_it_was_flushed(
    alice, organization, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        join(alice, "one", max_concurrency=4)
        join(alice, "two", max_concurrency=4)
    beat(alice, "one", load=2)
    client = redis.client()

    def known():
        facts = client.hgetall(publishing.instances_key(organization.pk))
        load = client.zrange(publishing.load_key(organization.pk), 0, -1, withscores=True)
        return {name.decode() for name in facts}, {name.decode(): score for name, score in load}

    assert known() == ({"one", "two"}, {"one": 0.5, "two": 0.0})
    client.flushall()
    assert known() == (set(), {})

    sweep_until_published()

    assert known() == ({"one", "two"}, {"one": 0.5, "two": 0.0})
    client.flushall()
    beat(alice, "one", load=3)
    assert known() == ({"one"}, {"one": 0.75}), "a heartbeat does it for itself"


def sweep_until_published():
    sweeping._publishing._ends = 0
    sweeping.sweep()


def test_an_agent_that_left_is_gone_from_redis(alice, organization, committing):
    with committing():
        join(alice, "one")
        alice.client.delete("/v1/agents/one")

    assert redis.client().hgetall(publishing.instances_key(organization.pk)) == {}


def test_two_that_register_at_once_are_one(alice, organization):
    with scope(organization=organization):
        first = live.register(organization=organization, name="one", agent="shouter", capabilities=[])
        second = live.register(organization=organization, name="one", agent="shouter", capabilities=[])

    assert (first.is_new, second.is_new, second.secret) == (True, False, None)


def test_a_key_gives_the_first_answer_again_without_the_secret(alice):
    body = {"name": "one", "agent_type": "shouter"}
    headers = {"HTTP_IDEMPOTENCY_KEY": "k"}
    first = alice.client.post("/v1/agents/register", body, format="json", **headers)
    again = alice.client.post("/v1/agents/register", body, format="json", **headers)

    assert first.json()["secret"]
    assert (again.status_code, again.json()["secret"]) == (201, None)


def test_three_heartbeats_are_what_may_be_missed(alice):
    join(alice, "one", heartbeat_interval=10)
    pass_time(29, "one")
    sweep()
    assert instance("one").state == "idle"

    pass_time(2, "one")
    sweep()

    assert instance("one").state == "offline"


def test_what_ended_long_ago_is_forgotten(alice, ask):
    join(alice, "one")
    ask()
    finish(alice, "one", claim(alice, "one"), output=1)
    with scopes_disabled():
        AgentTask.objects.update(finished_at=Now() - timedelta(days=6))
        tidy()
        assert tasks()
        AgentTask.objects.update(finished_at=Now() - timedelta(days=8))

    tidy()

    assert tasks() == []


def test_nobody_waits_for_ever(alice, ask):
    join(alice, "one")
    ask()
    with scopes_disabled():
        AgentTask.objects.update(waited_at=Now() - timedelta(minutes=11))

    sweep()

    assert tasks()[0].state == "withdrawn"


def test_one_that_fails_again_and_again_gets_nothing_for_a_while(alice, ask, organization):
    for name in ("bad", "good"):
        join(alice, name, capabilities=["shout"])
    for _ in range(BREAKER_FAILURES):
        figures.record(organization.pk, "shouter/bad", "shout", success=False, ms=1)
    ask(capability="shout")

    assert claim(alice, "bad") is None
    assert claim(alice, "good")["capability"] == "shout"

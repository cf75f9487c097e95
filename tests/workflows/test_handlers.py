"""A worker executes what it has; what it lacks waits for one that has it (R18)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.agents import registry as agents
from apps.agents.sdk import Agent
from apps.common.ids import uuid7
from apps.integrations import registry as tools
from apps.integrations.tools import tool
from apps.workflows.models import Worker
from apps.workflows.nodes.registry import served
from apps.workflows.serializers.runs import run_detail
from apps.workflows.services import attempts
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import transaction
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import Probes, probe

Greeter = type[Agent]


@pytest.fixture
def greeter() -> Iterator[Callable[..., Greeter]]:
    """Installs the agent `greeter` of some majors in this process, in the place of an earlier one."""

    def install(*majors: int) -> Greeter:
        agents.unregister("greeter")
        body = {"name": "greeter", "majors": majors, "capabilities": ["greet"]}
        return type("Greeter", (Agent,), body | {"exec": lambda _self, _task, _ctx: f"by {majors[-1]}"})

    yield install
    agents.unregister("greeter")


@contextmanager
def without_greeter() -> Iterator[None]:
    """This process is one that does not have the agent."""
    known = agents.get("greeter")
    agents.unregister("greeter")
    yield
    agents._agents.register("greeter", known, origin=known.origin)


GREETING: dict[str, Any] = {"name": "greeting", "nodes": {"greet": {"type": "agent", "agent": "greeter"}}}


def living_worker(**facts: Any) -> Worker:
    default = {"id": uuid7(), "name": "w", "host": "here", "pid": 1, "lock_key": 1, "slots": 1, "version": "1"}
    return Worker.objects.create(**default | facts)


def test_a_node_run_names_its_handler_and_the_major_it_began_with(room: EngineRoom, greeter: Any) -> None:
    greeter(1, 2)

    run = room.start(GREETING)

    assert room.node(run, "greet").handler == "agent:greeter@2"


@pytest.mark.parametrize(
    ("node", "handler"),
    [
        ({"type": "agent", "capability": "greet"}, "agent:can:greet"),
        ({"type": "tool", "tool": "versioned", "input": {}}, "tool:versioned@3"),
        ({"type": "wait", "seconds": 3600}, "wait"),
    ],
)
def test_a_handler_says_all_that_a_worker_needs(room: EngineRoom, greeter: Any, node: Any, handler: str) -> None:
    @tool(name="versioned", majors=(2, 3))
    def versioned() -> str:
        """Does nothing."""
        return ""

    greeter(1)

    run = room.start(workflow({"it": node}))

    tools.unregister("versioned")
    assert room.node(run, "it").handler == handler


def test_a_worker_goes_on_with_an_older_major_that_it_says_it_knows(room: EngineRoom, greeter: Any) -> None:
    greeter(1)
    run = room.start(GREETING)
    greeter(1, 2)

    room.work()

    assert room.output(run) == {"greet": "by 2"}


def test_a_major_that_a_worker_does_not_know_waits_for_one_that_does(room: EngineRoom, greeter: Any) -> None:
    greeter(1)
    run = room.start(GREETING)
    greeter(2)

    room.work()
    assert attempts.take(room.node(run, "greet").pk, room.worker) is None
    assert room.statuses(run) == {"greet": "queued"}

    greeter(1)
    room.work()
    assert room.output(run) == {"greet": "by 1"}


def test_an_agent_that_a_worker_lacks_fails_nothing(room: EngineRoom, greeter: Any, calls: Probes) -> None:
    greeter(1)
    run = room.start(workflow({"first": probe("first"), "greet": GREETING["nodes"]["greet"]}, ["first greet"]))

    with without_greeter():
        room.work()
        assert room.statuses(run) == {"first": "completed", "greet": "queued"}

    room.work()
    assert room.output(run) == {"greet": "by 1"}


def test_items_of_a_map_wait_for_a_worker_that_has_their_agent(room: EngineRoom, greeter: Any) -> None:
    greeter(1)
    mapped = {"type": "map", "over": [1, 2, 3], "max_parallel": 1, "node": GREETING["nodes"]["greet"]}
    run = room.start(workflow({"all": mapped}))
    room.begin(run, "all")
    claim = room.claim(run, "all", index=0)

    with without_greeter():
        assert room.bring(claim, "by 1") is None
        room.work()
        assert room.open_items(run, "all") == [1]

    room.work()
    assert room.output(run) == {"all": ["by 1"] * 3}


def test_a_node_run_from_before_handlers_had_names_is_anybodys(room: EngineRoom, greeter: Any) -> None:
    greeter(1)
    run = room.start(GREETING)
    with transaction() as tx:
        tx.execute("update workflows_noderun set handler = 'agent' where run_id = %(run)s", run=run)

    room.work()

    assert room.output(run) == {"greet": "by 1"}


def test_nobody_is_told_of_what_no_living_worker_has(room: EngineRoom, greeter: Any) -> None:
    greeter(1)
    run = room.start(GREETING)
    with transaction() as tx:
        tx.execute("update workflows_noderun set hinted_at = null")

    with without_greeter(), transaction() as tx:
        assert questions.unhinted(tx, served(), 5.0) == []
        living_worker(handlers=["agent:greeter@1"])
    with without_greeter(), transaction() as tx:
        told = questions.unhinted(tx, served(), 5.0)

    assert [node_run for node_run, _queue in told] == [room.node(run, "greet").pk]


def test_a_run_shows_which_handler_no_worker_has(room: EngineRoom, greeter: Any) -> None:
    greeter(2)
    run = room.start(GREETING)
    worker = living_worker(handlers=["set", "agent:greeter@1"])

    with room.scope():
        (node,) = run_detail(room.run(run))["nodes"]
    assert node["missing_handler"] == "agent:greeter@2"
    assert node["type"] == "agent"

    Worker.objects.filter(pk=worker.pk).update(handlers=["agent:greeter@2"])
    with room.scope():
        (node,) = run_detail(room.run(run))["nodes"]
    assert node["missing_handler"] is None


def test_the_queue_names_what_no_worker_has(room: EngineRoom, greeter: Any) -> None:
    greeter(2)
    room.start(GREETING)
    living_worker(handlers=["set", "agent:greeter@1"])

    with pytest.raises(CommandError, match="No worker has agent:greeter@2"):
        call_command("queue", "status")

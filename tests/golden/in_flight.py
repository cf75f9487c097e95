"""Runs that were under way when a dump was made: how each came to its state, and what people do about it afterwards.

A state once dumped stays here, so that old dumps can be resumed; new ones are added beside it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django_scopes import scopes_disabled

from apps.agents.models import AgentInstance, AgentTask
from apps.agents.services import live, remote_tasks
from apps.workflows.models import Effect, NodeRun, Run, Worker
from apps.workflows.nodes.base import Failed, NodeError
from apps.workflows.services import recovery
from apps.workflows.services.leases import Leases
from apps.workflows.services.unknown_effects import decide_effect
from tests.engine.documents import workflow
from tests.workflows.engine_room import ENDED, EngineRoom

OF_EACH = 4
LEASE = 10.0
ECHO = {"type": "agent", "agent": "echo", "input": {"n": "{{ inputs.n }}"}}
AFTER = {"after": ECHO}
RETRIED = ECHO | {"retry": {"attempts": 3, "delay": 60}}
WAIT = {"type": "wait", "seconds": 3600}
ITEMS = {"type": "map", "over": [1, 2, 3, 4, 5], "max_parallel": 2, "node": ECHO | {"input": "{{ item }}"}}
CHILD = workflow({"inner": ECHO}, name="child")
KEEPS = ECHO | {"save": {"seen": "{{ output.n }}"}}


def begin_all(room: EngineRoom) -> None:
    """Brings some runs into each of the states."""
    room.save(CHILD)
    for state, begin in _BEGINNINGS.items():
        for n in range(OF_EACH):
            begin(room, partial(_start, room, {"state": state, "n": str(n)}))


def resume_all(room: EngineRoom) -> dict[str, dict[str, Any]]:
    """Has people decide, and workers work, until all has ended; gives status and output by state and number."""
    with room.scope():
        runs = {run: str(state) for run, state in _labelled()}
    for run, state in runs.items():
        _DECISIONS.get(state, _nothing)(room, run)
    for _ in range(50):
        recovery.recover(LEASE)
        room.work()
        if all(room.status(run) in ENDED for run in runs):
            break
        room.pass_time(room.seconds_until_due())
    return {_name(room, run): {"status": room.status(run), "output": room.output(run)} for run in runs}


def _labelled() -> list[tuple[UUID, str]]:
    return list(Run.objects.filter(labels__has_key="state").order_by("id").values_list("pk", "labels__state"))


def _name(room: EngineRoom, run: UUID) -> str:
    labels = room.run(run).labels
    return f"{labels['state']} {labels['n']}"


def _start(room: EngineRoom, labels: dict[str, str], nodes: Any, edges: Any, **more: Any) -> UUID:
    return room.start(workflow(nodes, edges, **more), {"n": int(labels["n"])}, labels=labels)


def _living(room: EngineRoom) -> Leases:
    """A worker that the tables know; its process will have been gone for long when the dump is loaded."""
    worker = Leases()
    facts = {"name": "dumped", "host": "elsewhere", "pid": 1, "lock_key": 1, "slots": 1, "version": "1"}
    Worker.objects.create(id=worker.worker, **facts)
    return worker


# ---- how they came there ------------------------------------------------------------------------


def _queued(_room: EngineRoom, start: Any) -> None:
    start({"first": ECHO, **AFTER}, ["first after"])


def _running(room: EngineRoom, start: Any) -> None:
    room.claim(start({"first": ECHO, **AFTER}, ["first after"]), "first", worker=_living(room))


def _timer(room: EngineRoom, start: Any) -> None:
    room.begin(start({"first": WAIT, **AFTER}, ["first after"]), "first")


def _event(room: EngineRoom, start: Any) -> None:
    room.begin(start({"first": {"type": "wait", "event": "go"}, **AFTER}, ["first after"]), "first")


def _approval(room: EngineRoom, start: Any) -> None:
    room.begin(start({"first": {"type": "approval", "message": "Shall we?"}, **AFTER}, ["first after"]), "first")


def _map(room: EngineRoom, start: Any) -> None:
    run = start({"first": ITEMS, **AFTER}, ["first after"])
    room.begin(run, "first")
    worker = _living(room)
    room.bring(room.claim(run, "first", index=0, worker=worker), 1, worker=worker, go_on=False)
    room.claim(run, "first", index=1, worker=worker)


def _child(room: EngineRoom, start: Any) -> None:
    node = {"type": "workflow", "workflow": "child", "input": {"n": "{{ inputs.n }}"}}
    room.begin(start({"first": node, **AFTER}, ["first after"]), "first")


def _retrying(room: EngineRoom, start: Any) -> None:
    run = start({"first": RETRIED, **AFTER}, ["first after"])
    failure = Failed(NodeError("busy", "Come back later.", retryable=True))
    room.bring(room.claim(run, "first"), failure, go_on=False)


def _paused(room: EngineRoom, start: Any) -> None:
    run = start({"first": ECHO, **AFTER}, ["first after"])
    room.bring(room.claim(run, "first"), {"n": "before"}, go_on=False)
    room.pause(run)


def _effect_unknown(room: EngineRoom, start: Any) -> None:
    run = start({"first": ECHO | {"idempotent": False}, **AFTER}, ["first after"])
    worker = Leases()
    room.claim(run, "first", worker=worker)
    room.die(worker)


def _left(room: EngineRoom, start: Any) -> None:
    helper = _helper(room)
    run = start(
        {"first": {"type": "agent", "agent": "helper", "input": {"n": "{{ inputs.n }}"}}, **AFTER}, ["first after"]
    )
    claim = room.claim(run, "first")
    room.bring(claim, room.execute(claim), go_on=False)
    with room.scope():
        remote_tasks.claim(helper, task=AgentTask.objects.get(run_id=run).pk)


def _helper(room: EngineRoom) -> AgentInstance:
    """An agent outside that has asked for tasks a moment ago, and works on all it gets."""
    with room.scope():
        facts = {"agent": "helper", "capabilities": [], "max_concurrency": OF_EACH, "interval": 60}
        joined = live.register(organization=room.organization, name="dumped", **facts)
        AgentInstance.objects.update(polled_at=Now())
        return joined.instance


def _joining(room: EngineRoom, start: Any) -> None:
    run = start({"left": KEEPS, "right": ECHO, **AFTER}, ["left after", "right after"], context={"seen": {}})
    room.bring(room.claim(run, "left"), {"n": 7}, go_on=False)
    room.claim(run, "right", worker=_living(room))


def _looping(room: EngineRoom, start: Any) -> None:
    again = {"from": "first", "to": "first", "when": "visit < 3", "max": 5}
    run = start({"first": ECHO, **AFTER}, [again, {"from": "first", "to": "after", "when": "visit >= 3"}])
    room.bring(room.claim(run, "first"), {"n": "once"}, go_on=False)


_BEGINNINGS: dict[str, Callable[[EngineRoom, Any], None]] = {
    "queued": _queued,
    "running": _running,
    "timer": _timer,
    "event": _event,
    "approval": _approval,
    "map": _map,
    "child": _child,
    "retrying": _retrying,
    "paused": _paused,
    "effect_unknown": _effect_unknown,
    "left": _left,
    "joining": _joining,
    "looping": _looping,
}

STATES = tuple(_BEGINNINGS)

# ---- what people do ------------------------------------------------------------------------------


def _nothing(_room: EngineRoom, _run: UUID) -> None:
    """It goes on by itself."""


def _did_not_happen(room: EngineRoom, run: UUID) -> None:
    with room.scope():
        decide_effect(Effect.objects.get(run=run), decision="retry", by="user:ana")


def _answer(room: EngineRoom, run: UUID) -> None:
    with room.scope():
        task = AgentTask.objects.select_related("instance").get(run_id=run)
        assert task.instance is not None
        remote_tasks.complete(task, task.instance, fence=task.fence, output={"n": "helped"}, cost_usd=0)


_DECISIONS: dict[str, Callable[[EngineRoom, UUID], Any]] = {
    "event": lambda room, run: room.signal(run, "go", {"by": "ana"}),
    "approval": lambda room, run: room.decide(run, "approve"),
    "left": _answer,
    "paused": lambda room, run: room.resume(run),
    "effect_unknown": _did_not_happen,
}


def finished_nodes() -> dict[str, str | None]:
    """What had been finished: its output by id, which nothing that follows may change."""
    with scopes_disabled():
        found = NodeRun.objects.filter(status="completed").order_by("id")
        return {str(pk): output for pk, output in found.values_list("pk", "output")}

"""The scenarios by name: what load, what faults, and what has to come of it."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import UUID

from orchestra.chaos import overload, plan
from orchestra.chaos.load import Pace
from orchestra.chaos.stage import Act, Demand, Demands, Stage
from orchestra.chaos.verdict import Happening, Verdict, quantile
from orchestra.house import WEBS, wait_until
from orchestra.programs import FORK_SERVERS

KILLED_SECONDS, FROZEN_MORE_SECONDS = 3.0, 3.0  # to the next attempt; a frozen one: a lease and so many more
PLUGIN = {"ORCHESTRA_PLUGINS": "orchestra.chaos.agents"}
WARM_UP_SECONDS = 3.0
MOST_OPEN = 200  # runs at a time, where the load is a rate
POISON_SECONDS, LOSSES = 90.0, 5
QUICK_NODES = (0.01, 0.1)  # seconds


@dataclass(frozen=True)
class Scenario:
    """What is done to an Orchestra, and what it has to come to."""

    help: str
    act: Act
    demands: Demands
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of Options
    settings: Mapping[str, str] = field(default_factory=dict)
    proxied: bool = False
    agent: str = "echo"  # what its nodes run
    tree: bool = False  # a whole `bin/up`, and not a house


# Processes die


def kill_processes(stage: Stage) -> None:
    """Kill a process every now and then."""
    _play(stage, {"kill": 1})


def mix(stage: Stage) -> None:
    """Everything at once, also cuts of the network."""
    _play(stage, plan.MIXED)


def _play(stage: Stage, faults: Mapping[str, int]) -> None:
    options = stage.options
    workers = (f"worker{number}" for number in range(1, options.workers + 1))
    processes = [*FORK_SERVERS, *(f"web{number}" for number in WEBS), *workers]
    steps = plan.plan(
        options.seed, options.kills, options.every, processes=processes, faults=faults, lease=options.lease
    )
    pace = Pace(rate=options.runs / (options.kills * options.every), runs=options.runs)
    with stage.load(pace) as load:
        stage.faults.follow(steps, time.monotonic())
        load.wait_all_asked(options.kills * options.every)


def resumed_soon(stage: Stage, verdict: Verdict) -> list[Demand]:
    """What died is gone on with soon."""
    killed = quantile(verdict.resumed.get("kill", []), 0.99)
    return [Demand("killed to the next attempt, p99", killed, KILLED_SECONDS, unit="s"), _thawed(stage, verdict)]


def _thawed(stage: Stage, verdict: Verdict) -> Demand:
    frozen = quantile(verdict.resumed.get("freeze", []), 0.99)
    limit = stage.options.lease + FROZEN_MORE_SECONDS
    return Demand("frozen to the next attempt, p99", frozen, limit, unit="s")


def restart_workers(stage: Stage) -> None:
    """Restart one worker after the other as a deploy does."""
    options = stage.options
    with stage.load(Pace(rate=options.runs / options.seconds, runs=options.runs)) as load:
        for number in range(options.kills):
            _restart(stage, f"worker{number % options.workers + 1}")
        load.wait_all_asked(options.seconds)


def _restart(stage: Stage, worker: str) -> None:
    before = stage.faults.house.pid(worker)
    stage.faults.do(plan.Step(0, "restart", worker))
    ready = "select 1 from workflows_worker where pid = %(pid)s and stopped_at is null"

    def is_back() -> bool:
        pid = stage.faults.house.pid(worker)
        return pid not in (None, before) and bool(stage.ask(ready, pid=pid))

    wait_until(is_back, f"{worker} has not come back")


def nothing_lost_or_repeated(_stage: Stage, verdict: Verdict) -> list[Demand]:
    """A restart costs no attempt."""
    ended = verdict.attempts
    return [
        Demand("attempts counted as lost", ended.get("lost", 0), 0),
        Demand("attempts handed back and made again", ended.get("released", 0), 0),
    ]


# Processes stand still while others do their work

_BUSIEST = """
select w.pid, array_agg(n.id), array_agg(n.fence) from workflows_noderun n join workflows_worker w on w.id = n.worker
where n.status = 'running' and w.stopped_at is null group by w.id order by count(*) desc limit 1
"""
_OVERTAKEN = """
select count(*) filter (where n.completed_fence > held.fence), count(*) filter (where n.status = 'running'
    and n.fence = held.fence or n.status = 'queued') from workflows_noderun n
join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) held (id, fence) on held.id = n.id
"""


def wake_zombies(stage: Stage) -> None:
    """Freeze workers inside nodes until others have finished these, and let them go on."""
    zombies = 0
    with stage.load(Pace(rate=100, most_open=60, node_seconds=(0.4, 0.8))):
        ends = time.monotonic() + stage.options.seconds
        while zombies < stage.options.kills and time.monotonic() < ends:
            zombies += _wake_some(stage)
            stage.say(f"zombies: {zombies} nodes were finished by another while their first worker stood still")
    stage.figures["zombies"] = zombies


def _wake_some(stage: Stage) -> int:
    time.sleep(0.5)  # for new nodes to begin
    busiest = stage.ask(_BUSIEST)
    if not busiest:
        return 0
    pid, ids, fences = busiest[0]
    os.kill(pid, signal.SIGSTOP)
    stage.faults.done["freeze"] += 1
    stage.faults.happenings.append(Happening(time.time(), "freeze", "worker", pid))
    try:
        return _wait_overtaken(stage, ids, fences)
    finally:
        os.kill(pid, signal.SIGCONT)


def _wait_overtaken(stage: Stage, ids: list[UUID], fences: list[int]) -> int:
    ends = time.monotonic() + stage.options.lease * 3 + 5
    overtaken = 0
    while time.monotonic() < ends:
        ((overtaken, left),) = stage.ask(_OVERTAKEN, ids=ids, fences=fences) or [(overtaken, 1)]
        if not left:
            break
        time.sleep(0.1)
    time.sleep(0.5)  # those claimed by others end meanwhile
    ((overtaken, _),) = stage.ask(_OVERTAKEN, ids=ids, fences=fences) or [(overtaken, 0)]
    return int(overtaken)


def all_overtaken(stage: Stage, verdict: Verdict) -> list[Demand]:
    """As many zombies as were asked for, and others went on with what they held."""
    zombies = Demand("zombies", stage.figures["zombies"], stage.options.kills, at_least=True)
    return [zombies, _thawed(stage, verdict)]


# Redis goes away


def flush_redis(stage: Stage) -> None:
    """Flush Redis again and again."""
    with _quiet_first(stage), stage.phase("flushed"):
        ends = time.monotonic() + stage.options.seconds
        while time.monotonic() < ends:
            stage.faults.do(plan.Step(0, "flush"))
            time.sleep(stage.options.every)


def stop_redis(stage: Stage) -> None:
    """Take Redis away."""
    supervisor, valkey = stage.faults.house.supervisor, stage.faults.house.valkey
    with _quiet_first(stage):
        with stage.phase("dead"):
            supervisor.stop(["valkey"])
            stage.faults.done["stop_redis"] += 1
            stage.rest(stage.options.seconds)
        supervisor.start(valkey.program)


def silence_redis(stage: Stage) -> None:
    """Freeze Redis, so that connections to it stay open and nothing answers."""
    with _quiet_first(stage), stage.phase("silent"):
        stage.faults.do(plan.Step(0, "freeze_redis", seconds=stage.options.seconds))
        stage.rest(stage.options.seconds)


@contextmanager
def _quiet_first(stage: Stage) -> Iterator[None]:
    """Load, with a quiet phase that the others are compared with."""
    with stage.load(Pace(rate=stage.options.rate, most_open=MOST_OPEN, node_seconds=QUICK_NODES)):
        stage.rest(WARM_UP_SECONDS)
        with stage.phase("quiet"):
            stage.rest(max(stage.options.seconds / 3, 5))
        yield


def redis_is_a_luxury(stage: Stage, verdict: Verdict) -> list[Demand]:
    """Submits are answered as ever, and work goes on at half the speed at least."""
    fault = stage.phases[-1].name
    quiet, faulty = stage.rate("quiet", verdict), stage.rate(fault, verdict)
    stage.figures |= {
        "quiet_runs_per_second": quiet or 0,
        "faulty_runs_per_second": faulty or 0,
        "quiet_submit_p99": quantile(stage.answered("quiet"), 0.99) or 0,
    }
    return [
        Demand(f"answers to submits while Redis is {fault}, p99", quantile(stage.answered(fault), 0.99), 0.5, unit="s"),
        Demand("speed beside that of the quiet time", faulty / quiet if quiet and faulty else 0, 0.5, at_least=True),
    ]


# PostgreSQL goes away


def stop_postgres(stage: Stage) -> None:
    """Stop PostgreSQL as if it had crashed, again and again; its supervisor starts it."""
    options = stage.options
    with stage.load(Pace(rate=options.runs / (options.kills * options.every), runs=options.runs)) as load:
        for _ in range(options.kills):
            stage.rest(options.every)
            stage.faults.do(plan.Step(0, "stop_postgres"))
        stage.rest(options.every)
        load.wait_all_asked(options.every)


def refused_politely(stage: Stage, _verdict: Verdict) -> list[Demand]:
    """Who cannot be served is told when to come again."""
    refused = [answer for answer in stage.submitted.answers if answer.status == HTTPStatus.SERVICE_UNAVAILABLE]
    stage.figures["answers_503"] = len(refused)
    return [Demand("503 without Retry-After", sum(answer.retry_after is None for answer in refused), 0)]


# A node that kills its worker

_POISON = """
select n.status, n.lost_count, n.error::json ->> 'code',
    extract(epoch from coalesce(n.finished_at, clock_timestamp()) - n.created_at)::float8
from workflows_noderun n where n.run_id = %(run)s
"""
_TOOK = """
select extract(epoch from finished_at - created_at)::float8 from workflows_run where status = 'completed'
    and name <> 'poison' and created_at between to_timestamp(%(began)s) and to_timestamp(%(ended)s)
"""


def poison(stage: Stage) -> None:
    """Run a node that kills its worker beside healthy runs; repair it when it has been given up."""
    repair = stage.faults.house.home / "repaired"
    node = {"type": "agent", "agent": "chaos_crash", "input": {"repaired_by": str(repair)}}
    with stage.load(Pace(rate=stage.options.runs / stage.options.seconds, runs=stage.options.runs)) as load:
        stage.rest(WARM_UP_SECONDS)
        with stage.phase("healthy"):
            stage.rest(stage.options.seconds / 4)
        with stage.phase("poisoned"):
            answer = stage.client.post("/v1/runs", json={"definition": {"name": "poison", "nodes": {"crash": node}}})
            run = answer.raise_for_status().json()["id"]
            _wait_for_status(stage, run, "failed")
        ((_, stage.figures["losses"], stage.codes["poison"], stage.figures["poisoned_seconds"]),) = stage.ask(
            _POISON, run=run
        )
        stage.say(f"the node was given up: {stage.codes['poison']} after {stage.figures['losses']} losses")
        repair.touch()
        stage.client.post(f"/v1/runs/{run}/retry").raise_for_status()
        _wait_for_status(stage, run, "completed")
        stage.say("repaired, and run again: completed")
        load.wait_all_asked(stage.options.seconds)


def _wait_for_status(stage: Stage, run: str, status: str) -> None:
    def has_ended() -> bool:
        return stage.ask("select status from workflows_run where id = %(run)s", run=run) == [(status,)]

    wait_until(has_ended, f"run {run} is not {status}", 2 * POISON_SECONDS)


def given_up_in_time(stage: Stage, _verdict: Verdict) -> list[Demand]:
    """Poison is known by exactly five losses; how much slower its neighbours were is told."""
    for phase in stage.phases:
        took = [seconds for (seconds,) in stage.ask(_TOOK, began=phase.began, ended=phase.ended)]
        stage.figures |= {
            f"{phase.name}_run_p50": quantile(took, 0.5) or 0,
            f"{phase.name}_run_p99": quantile(took, 0.99) or 0,
        }
    return [
        Demand("losses", stage.figures["losses"], LOSSES),
        Demand("losses", stage.figures["losses"], LOSSES, at_least=True),
        Demand("until it was given up", stage.figures["poisoned_seconds"], POISON_SECONDS, unit="s"),
    ]


# Everything dies at once


def kill_trees(stage: Stage) -> None:
    """Kill `bin/up` with everything under it, and start it again."""
    tree = stage.tree
    assert tree is not None  # noqa: S101 - the scenario says that it plays on one
    options = stage.options
    ready = []
    with stage.load(Pace(rate=options.runs / (options.kills * options.every), runs=options.runs)):
        for _ in range(options.kills):
            stage.rest(options.every)
            stage.say(f"kill -9 for bin/up and all under it: {len(tree.kill())} processes")
            stage.faults.done["kill_tree"] += 1
            ready.append(tree.start())
            stage.say(f"ready again after {ready[-1]:.1f} s")
    stage.figures["slowest_start"] = max(ready)


def started_in_time(stage: Stage, _verdict: Verdict) -> list[Demand]:
    """`bin/up` is ready again soon."""
    return [Demand("slowest start", stage.figures["slowest_start"], 30, unit="s")]


SCENARIOS = {
    "mixed": Scenario("everything at once, also cuts of the network", mix, resumed_soon, proxied=True),
    "kills": Scenario(
        "kill -9 of a random process", kill_processes, resumed_soon, {"runs": 1000, "kills": 60, "every": 2.0}
    ),
    "zombies": Scenario(
        "workers stand still inside nodes that others finish",
        wake_zombies,
        all_overtaken,
        {"kills": 200, "seconds": 180.0, "lease": 1.0},
        PLUGIN,
        agent="chaos_slow",
    ),
    "flush": Scenario("FLUSHALL again and again", flush_redis, redis_is_a_luxury, {"every": 3.0}),
    "redis-dead": Scenario("Redis is away", stop_redis, redis_is_a_luxury),
    "redis-silent": Scenario("Redis is frozen, its connections stay open", silence_redis, redis_is_a_luxury),
    "postgres": Scenario("PostgreSQL dies", stop_postgres, refused_politely, {"runs": 500, "kills": 8, "every": 15.0}),
    "rolling": Scenario(
        "one worker after the other is restarted", restart_workers, nothing_lost_or_repeated, {"runs": 500, "kills": 20}
    ),
    "poison": Scenario(
        "a node kills its worker",
        poison,
        given_up_in_time,
        {"runs": 200, "seconds": 40.0},
        PLUGIN,
    ),
    "overload": Scenario(
        "one organization floods, another works beside it",
        overload.flood,
        overload.refused_and_nothing_worse,
        {"seconds": 60.0},
        overload.SETTINGS,
    ),
    "tree": Scenario(
        "everything is killed at once, and bin/up again",
        kill_trees,
        started_in_time,
        {"runs": 200, "kills": 5, "every": 5.0},
        tree=True,
    ),
}

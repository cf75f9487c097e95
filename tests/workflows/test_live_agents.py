"""Agents that are processes of their own, written with the SDK: they join a real server over HTTP and work for runs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from django_scopes import scopes_disabled

from apps.agents.models import AgentDecision, AgentInstance
from apps.agents.services import delivery
from apps.agents.services.sweep import sweep
from apps.common.database import release_connection
from apps.observability.models import LogLine
from apps.workflows.nodes.registry import handler_of
from apps.workflows.services import recovery
from orchestra.embedded import free_port
from tests.acceptance.orchestra_process import wait_until
from tests.agents.live import beat, claim, finish, instance, join, tasks
from tests.engine.documents import workflow

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys, time
from pathlib import Path
from orchestra.sdk import Agent, BaseModel, Context, Fatal, serve

ME, DESK = sys.argv[1], Path(sys.argv[2])

class Shouter(Agent):
    "Says it louder; a task with `wait` is done when the file of that name is there."
    name = "shouter"
    capabilities = ["shout"]

    class Input(BaseModel):
        text: str
        wait: str = ""

    def exec(self, task: Input, ctx: Context) -> dict:
        if task.text == "bad":
            raise Fatal("This is not shouted.", code="indecent")
        ctx.progress(0.4, "half")
        ctx.log.info("Shouting.", letters=len(task.text))
        with (DESK / "begun").open("a") as file:
            file.write(f"{ME} {ctx.idempotency_key()}\\n")
        while task.wait and not (DESK / task.wait).exists():
            if ctx.cancelled:
                (DESK / "cancelled").touch()
                ctx.check_cancelled()
            time.sleep(0.02)
        return {"text": task.text.upper(), "by": ME}

serve(Shouter, name=ME, url=os.environ["URL"], key=os.environ["KEY"], **eval(os.environ["MORE"]))
"""


class Desk:
    """Where the test and its agents meet: a directory, and the processes."""

    def __init__(self, path: Path, url: str, key: str) -> None:
        self.path, self.url, self.key = path, url, key
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        (path / "shouter.py").write_text(PROGRAM)

    def start(self, name: str, *, interval: float = 5, **more: object) -> None:
        """Start an agent; nothing of Django's settings is there for it."""
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "URL": self.url, "KEY": self.key}
        with (self.path / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "shouter.py", name, str(self.path)],
                cwd=self.path,
                env=environment | {"MORE": repr(more | {"interval": interval})},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, *names: str) -> "Desk":
        """Wait until they ask for tasks, or listen for them."""
        wait_until(lambda: all(self._is_ready(name) for name in names), explain=self.logs)
        return self

    def _is_ready(self, name: str) -> bool:
        with scopes_disabled():
            found = AgentInstance.objects.filter(name=name, state="idle").first()
        return found is not None and bool(found.polled_at or found.endpoint)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.path.glob("*.log"))

    @property
    def begun(self) -> list[str]:
        """Who began with a task, in order."""
        path = self.path / "begun"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def let_go(self, name: str = "go") -> None:
        (self.path / name).touch()

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def desk(tmp_path, live_server, room, alice) -> Iterator[Desk]:
    desk = Desk(tmp_path, live_server.url, alice.secret)
    yield desk
    desk.let_go()
    desk.end()


def shouting(text="hello", **more):
    """A workflow with one node for the agent."""
    by = {"agent": "shouter"} if "capability" not in more else {"capability": more.pop("capability")}
    return workflow({"loud": {"type": "agent", **by, "input": {"text": text, **more}}})


@contextmanager
def working(room) -> Iterator[None]:
    """A worker of the engine and its recovery, until the block ends."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            room.work()
            sweep()
            recovery.adopt_own_agents()
            release_connection()
            stop.wait(0.05)
        release_connection()

    def look_after() -> None:
        while not stop.is_set():
            room.look_after()
            sweep()
            recovery.wake()
            recovery.withdraw_orphans()
            release_connection()
            stop.wait(0.1)
        release_connection()

    threads = [threading.Thread(target=work), threading.Thread(target=look_after)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def ended(room, run, desk):
    wait_until(lambda: room.status(run) in {"completed", "failed", "cancelled"}, explain=desk.logs)
    return room.status(run)


def test_the_task_of_an_agent_that_is_killed_finishes_on_another(room, desk):
    desk.start("one", interval=1)
    desk.wait_ready("one")
    with working(room):
        run = room.start(shouting(wait="go"))
        wait_until(lambda: desk.begun == ["one"], explain=desk.logs)
        desk.start("two")
        desk.wait_ready("two")

        desk.processes["one"].kill()
        wait_until(lambda: instance("one").state == "offline", explain=desk.logs)
        desk.let_go()

        assert ended(room, run, desk) == "completed"
    assert room.node_output(run, "loud") == {"text": "HELLO", "by": "two"}
    assert desk.begun == ["one", "two"]
    (task,) = tasks()
    assert (task.fence, task.lost_count, task.state) == (2, 1, "completed")


def test_work_is_shared_by_load(room, desk):
    for name in ("one", "two"):
        desk.start(name)
    desk.wait_ready("one", "two")
    with working(room):
        first = room.start(shouting(wait="go", capability="shout"))
        wait_until(lambda: len(desk.begun) == 1, explain=desk.logs)
        second = room.start(shouting(wait="go", capability="shout"))
        wait_until(lambda: len(desk.begun) == 2, explain=desk.logs)
        desk.let_go()
        assert {ended(room, run, desk) for run in (first, second)} == {"completed"}

    busy, other = desk.begun
    assert {busy, other} == {"one", "two"}
    with scopes_disabled():
        chosen = AgentDecision.objects.filter(run_id=second).values_list("chosen", flat=True)
        assert set(chosen) == {f"shouter/{other}"}, "whoever fetched the first task has no room for the second"


def test_nodes_that_wait_for_an_agent_leave_a_worker_of_one_slot_to_others(room, desk):
    desk.start("one", concurrency=3)
    desk.wait_ready("one")
    with working(room):
        runs = [room.start(shouting(wait="go")) for _ in range(20)]
        wait_until(lambda: len(desk.begun) == 3, explain=desk.logs)

        other = room.start(workflow({"e": {"type": "agent", "agent": "echo", "input": {"n": 1}}}))

        assert ended(room, other, desk) == "completed"
        assert len(desk.begun) == 3
        desk.let_go()
        assert {ended(room, run, desk) for run in runs} == {"completed"}
    assert len(desk.begun) == 20


def test_a_worker_that_dies_asks_nobody_twice(room, desk):
    desk.start("one")
    desk.wait_ready("one")
    run = room.start(shouting(wait="go"))
    waiting = room.claim(run, "loud")
    dying = room.worker
    thread = threading.Thread(target=lambda: (room.execute(waiting, worker=dying), release_connection()))
    thread.start()
    wait_until(lambda: desk.begun == ["one"], explain=desk.logs)

    room.die()
    dying.let_go(waiting.row)
    desk.let_go()
    with working(room):
        assert ended(room, run, desk) == "completed"
    thread.join(60)

    assert desk.begun == ["one"]
    assert tasks()[0].tries == 1


def test_a_cancelled_run_takes_its_task_back(room, desk):
    desk.start("one", interval=0.5)
    desk.wait_ready("one")
    with working(room):
        run = room.start(shouting(wait="never"))
        wait_until(lambda: desk.begun, explain=desk.logs)

        room.cancel(run)

        wait_until((desk.path / "cancelled").exists, explain=desk.logs)
    assert tasks()[0].state == "withdrawn"


def test_how_far_it_is_and_what_it_logs_stand_in_the_run_while_it_works(room, desk):
    desk.start("one")
    desk.wait_ready("one")
    with working(room):
        run = room.start(shouting(wait="go"))
        wait_until(lambda: room.events(run, "node.progress"), explain=desk.logs)
        wait_until(lambda: lines_of(run), explain=desk.logs)
        desk.let_go()
        assert ended(room, run, desk) == "completed"

    (event,) = room.events(run, "node.progress")
    assert (event.node, event.data) == ("loud", {"fraction": 0.4, "message": "half"})
    (line,) = lines_of(run)
    assert (line.level, line.message, line.fields, line.node) == ("info", "Shouting.", {"letters": 5}, "loud")
    assert (line.node_run_id, line.attempt) == (room.node(run, "loud").pk, 1)


def lines_of(run):
    with scopes_disabled():
        return list(LogLine.objects.filter(run_id=run))


def test_an_agent_that_is_told_to_stop_finishes_what_it_has(room, desk):
    desk.start("one")
    desk.wait_ready("one")
    with working(room):
        run = room.start(shouting(wait="go"))
        wait_until(lambda: desk.begun, explain=desk.logs)

        desk.processes["one"].send_signal(signal.SIGTERM)
        wait_until(lambda: instance("one").state == "draining", explain=desk.logs)
        desk.let_go()

        assert ended(room, run, desk) == "completed"
    assert desk.processes["one"].wait(60) == 0
    assert instance("one").state == "offline"


def test_an_agent_joins_again_when_it_is_not_known_any_more(room, desk):
    desk.start("one", interval=0.5)
    desk.wait_ready("one")
    with scopes_disabled():
        AgentInstance.objects.all().delete()

    desk.wait_ready("one")


def test_a_failure_says_whether_another_try_may_help(room, desk):
    desk.start("one")
    desk.wait_ready("one")
    with working(room):
        run = room.start(shouting("bad"))
        assert ended(room, run, desk) == "failed"

    error = room.node(run, "loud").error
    assert (error["code"], error["message"], error["retryable"]) == ("indecent", "This is not shouted.", False)


def test_an_agent_that_listens_is_sent_its_tasks_signed(room, desk, settings):
    port = free_port(24000 + os.getpid() % 2000)
    settings.ORCHESTRA_EGRESS_ALLOW = [f"127.0.0.1:{port}"]
    endpoint = f"http://127.0.0.1:{port}/tasks"
    desk.start("one", mode="push", endpoint=endpoint, concurrency=2)
    desk.wait_ready("one")

    forged = httpx.post(endpoint, content=b"{}", headers={"webhook-timestamp": str(int(time.time()))})
    with working(room):
        run = room.start(shouting())
        assert ended(room, run, desk) == "completed"

    assert forged.status_code == 401
    assert room.node_output(run, "loud") == {"text": "HELLO", "by": "one"}


def test_a_listening_agent_that_is_not_there_is_passed_over(room, desk, settings, alice):
    port = free_port(26000 + os.getpid() % 2000)
    settings.ORCHESTRA_EGRESS_ALLOW = [f"127.0.0.1:{port}"]
    join(alice, "aaa", endpoint=f"http://127.0.0.1:{port}/", heartbeat_interval=60)
    desk.start("one")
    desk.wait_ready("one")
    with working(room):
        run = room.start(shouting())
        assert ended(room, run, desk) == "completed"

    assert room.node_output(run, "loud")["by"] == "one"


def test_a_run_waits_for_an_agent_that_is_not_up_yet(room, alice, monkeypatch):
    monkeypatch.setattr(delivery, "NOBODY_SECONDS", 0.1)
    join(alice, "one")
    run = room.start(shouting())
    room.work(most=1)
    assert room.statuses(run)["loud"] == "retrying"
    assert room.node(run, "loud").error["code"] == "no_live_agent"

    task = claim(alice, "one")
    finish(alice, "one", task, output={"text": "HELLO"})

    assert room.until_ended(run).status == "completed"
    assert room.node(run, "loud").attempt == 1, "to wait is no failure"


def test_a_run_that_began_before_its_agent_was_known_goes_on_when_it_is(room, alice, monkeypatch):
    join(alice, "known")
    with monkeypatch.context() as before:
        before.setattr("apps.workflows.services.transition.starting.handler_of", lambda spec, _: handler_of(spec))
        run = room.start(shouting())
    assert room.node(run, "loud").handler == "agent:shouter"
    assert room.claimable() == []

    recovery._adopting._ends = 0
    assert recovery.adopt_own_agents() == 1

    assert room.claimable()


def test_another_organization_cannot_use_it(room, alice, charlie):
    join(alice, "one")
    beat(alice, "one")

    answer = charlie.client.post("/v1/workflows/validate", json.loads(json.dumps(shouting())), format="json")

    assert [error["code"] for error in answer.json()["errors"]] == ["unknown_agent"]
    assert alice.client.post("/v1/workflows/validate", shouting(), format="json").json()["valid"]

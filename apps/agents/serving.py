"""A process that serves an agent from outside: it joins Orchestra over HTTP and works on what it is given.

Nothing here needs Django's settings or the database. The protocol is that of docs/live-agents.md.
"""

import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from apps.agents.registry import AgentType
from apps.agents.runtime import Result, run_agent
from apps.agents.sdk import Agent
from apps.agents.signing import is_genuine
from apps.agents.telling import ServedContext
from apps.common.asyncio_loop import Cancelled
from apps.common.outcomes import describe_error

if TYPE_CHECKING:
    import httpx

Task = dict[str, Any]

POLL_SECONDS = 20.0
TELL_SECONDS = 1.0  # between two reports on a task
ANSWER_SECONDS = 30.0
GRACE_SECONDS = 30.0  # that running tasks have when the process is told to stop
SHORTEST_REST, LONGEST_REST = 0.2, 5.0  # between two tries to reach a server that is away
MOST_BYTES = 16 * 1024 * 1024
_OVER = frozenset({403, 404, 409, 422})  # answers to a result that another try does not change
_CONFLICT = 409  # the task is another's, or not wanted any more
_GONE = 404
_TOO_MANY, _SERVER_ERROR = 429, 500

log = logging.getLogger("orchestra.agents")


class Refused(RuntimeError):
    """Orchestra does not take this agent, and will not when asked again."""


def serve(
    agent: type[Agent],
    *,
    url: str,
    key: str,
    name: str = "",
    concurrency: int = 1,
    mode: Literal["pull", "push"] = "pull",
    endpoint: str = "",
    listen: tuple[str, int] | None = None,
    interval: float = 10.0,
    grace: float = GRACE_SECONDS,
    version: str = "",
    usd_per_call: float = 0.0,
    organization: str = "",
) -> None:
    """Serve an agent until the process is told to stop (SIGTERM or Ctrl-C).

        serve(Shouter, url="https://orchestra.example", key=os.environ["ORCHESTRA_KEY"], concurrency=4)

    - `name` is that of this process; without one it is made of the agent's name, the host and the process id.
    - `mode="pull"` fetches tasks and needs nothing but a way to `url`. `mode="push"` listens on `listen` (host and
      port; by default those of `endpoint`) and is sent tasks to `endpoint`, signed.
    - `interval` is how often it shows itself; three times missed and its tasks go to others.

    It waits for a server that is away, joins again when it is back, and finishes what it has when it is told to stop.
    Raises Refused when Orchestra does not take it.
    """
    told = {
        "name": name or _own_name(agent.name),
        "agent_type": agent.name,
        "version": version,
        "max_concurrency": concurrency,
        "heartbeat_interval": interval,
        "endpoint": endpoint or None,
        "cost": {"usd_per_call": usd_per_call},
        **_described(AgentType(agent)),
    }
    if mode == "push" and not endpoint:
        raise ValueError("mode='push' needs the endpoint that tasks are sent to.")
    desk = _Desk(AgentType(agent), told, _Line(url, key, organization), grace)
    desk.run(_address(endpoint, listen) if mode == "push" else None)


class _Line:
    """The way to Orchestra."""

    def __init__(self, url: str, key: str, organization: str) -> None:
        import httpx  # noqa: PLC0415 - plugins import this module too, and need no client

        headers = {"Authorization": f"Bearer {key}"}
        if organization:
            headers["Orchestra-Organization"] = organization
        self._client = httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS)
        self._away: type[Exception] = httpx.TransportError

    def ask(self, method: str, path: str, body: Any = None) -> "httpx.Response | None":
        """Give the answer; None when there is none, or one of a server that is in trouble."""
        try:
            content = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"} if content is not None else None
            answer = self._client.request(method, path, content=content, headers=headers)
        except self._away as error:
            log.warning("Orchestra does not answer: %s", error)
            return None
        if answer.status_code == _TOO_MANY or answer.status_code >= _SERVER_ERROR:
            log.warning("Orchestra answered %s to %s.", answer.status_code, path)
            return None
        return answer

    def close(self) -> None:
        self._client.close()


@dataclass
class _Work:
    """A task in hand."""

    task: Task
    ctx: ServedContext
    is_wanted: bool = True
    is_heard: bool = True  # as far as it is known, somebody wants to be told how it goes
    telling: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class _Desk:
    """What the process has to do, and how far it is."""

    agent_type: AgentType
    told: dict[str, Any]
    line: _Line
    grace: float
    process: str = field(default_factory=lambda: uuid4().hex)
    secret: str = ""
    id: str = ""
    is_paused: bool = False  # people want it to get nothing
    stopping: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    _works: dict[str, _Work] = field(default_factory=dict)
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def run(self, address: tuple[str, int] | None) -> None:
        """Join, work until told to stop, finish, leave."""
        for number in (signal.SIGTERM, signal.SIGINT):
            if threading.current_thread() is threading.main_thread():
                signal.signal(number, lambda *_: self.stopping.set())
        server = _listen(self, address) if address else None
        try:
            self._join(first=True)
            heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            heart.start()
            threading.Thread(target=self._tell, name="reports", daemon=True).start()
            if server:
                self.stopping.wait()
            else:
                self._fetch()
            self._finish(heart)
        finally:
            self.stopped.set()
            if server:
                server.shutdown()
            self.line.close()

    # ---- joining and staying ----------------------------------------------------------------------

    def _join(self, *, first: bool = False) -> None:
        wish = {**self.told, "process": self.process, "new_secret": first and bool(self.told["endpoint"])}
        answer = self._until_answered(lambda: self.line.ask("POST", "/v1/agents/register", wish))
        if answer is None:
            return
        if answer.is_error:
            raise Refused(f"Orchestra does not take '{self.told['name']}': {answer.text[:2000]}")
        joined = answer.json()
        self.id, self.secret = joined["id"], joined["secret"] or self.secret
        log.info("Joined as %s.", self.told["name"])

    def _beat(self) -> None:
        while not self.stopped.wait(self.told["heartbeat_interval"]):
            try:
                self.beat()
            except Exception:
                log.exception("The heartbeat failed.")

    def beat(self) -> None:
        """Show that the process lives, and hear what is not wanted any more."""
        with self._lock:
            held = [{"id": one["id"], "fence": one["fence"]} for one in (work.task for work in self._works.values())]
        status = "draining" if self.stopping.is_set() else "busy" if held else "idle"
        pulse = {"load": len(held), "status": status, "tasks": held}
        answer = self.line.ask("POST", f"/v1/agents/{self.id}/heartbeat", pulse)
        if answer is not None and answer.status_code == _GONE:
            self._join()
        elif answer is not None and answer.is_success:
            told = answer.json()
            self.is_paused = told["mode"] != "active"
            self._drop(told["withdrawn"])

    def _tell(self) -> None:
        while not self.stopped.wait(TELL_SECONDS):
            for work in list(self._works.values()):
                try:
                    self.tell(work)
                except Exception:
                    log.exception("A report failed.")

    def tell(self, work: _Work) -> None:
        """Tell what there is to tell of a task; what does not arrive now is told the next time."""
        with work.telling:
            while work.is_heard and (report := work.ctx.untold()):
                path = f"/v1/agents/{self.id}/tasks/{work.task['id']}/reports"
                answer = self.line.ask("POST", path, {**report, "fence": work.task["fence"]})
                if answer is None:
                    return
                work.is_heard = answer.is_success
                work.ctx.told(report)
                if answer.status_code == _CONFLICT:
                    self._drop([work.task["id"]])

    def _drop(self, withdrawn: list[str]) -> None:
        for identifier in withdrawn:
            if work := self._works.get(identifier):
                work.is_wanted = False
                work.ctx.cancel()

    def _until_answered(self, ask: Callable[[], "httpx.Response | None"]) -> "httpx.Response | None":
        rest = SHORTEST_REST
        while not self.stopped.is_set():
            if (answer := ask()) is not None:
                return answer
            if self.stopping.is_set() and not self._works:
                return None
            self.stopped.wait(rest)
            rest = min(LONGEST_REST, rest * 2)
        return None

    # ---- tasks ------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        while not self.stopping.is_set():
            if self.is_paused:
                self.stopping.wait(1)
                continue
            with self._lock:
                if not self._lock.wait_for(lambda: self.has_room or self.stopping.is_set(), timeout=0.5):
                    continue
            began = time.monotonic()
            task = None if self.stopping.is_set() else self._claimed()
            if task:
                self.take(task)
            elif time.monotonic() - began < 1:  # away, or too many wait already
                self.stopping.wait(1)

    def _claimed(self) -> Task | None:
        answer = self.line.ask("POST", f"/v1/agents/{self.id}/tasks/claim", {"wait": POLL_SECONDS})
        if answer is not None and answer.status_code == _GONE:
            self._join()
        if answer is None or not answer.is_success:
            return None
        told = answer.json()
        self.is_paused = told["mode"] != "active"
        task: Task | None = told["task"]
        return task

    @property
    def has_room(self) -> bool:
        """Tell whether another task can be taken."""
        return len(self._works) < int(self.told["max_concurrency"])

    def take(self, task: Task) -> bool:
        """Begin with a task; False when there is no room for it. One that is in hand already is not begun again."""
        ctx = ServedContext(node=task.get("node"), attempt=task["attempt"], key=task["idempotency_key"])
        with self._lock:
            if task["id"] in self._works:
                self._works[task["id"]].task = task
                return True
            if not self.has_room:
                return False
            work = self._works[task["id"]] = _Work(task, ctx)
        threading.Thread(target=self._do, args=(work,), name=f"task {task['id']}", daemon=True).start()
        return True

    def _do(self, work: _Work) -> None:
        try:
            ended = self._ended(work)
            self.tell(work)
            self._bring(work, ended)
        finally:
            with self._lock:
                self._works.pop(work.task["id"], None)
                self._lock.notify_all()

    def _ended(self, work: _Work) -> dict[str, Any]:
        try:
            result = run_agent(self.agent_type, work.task["input"], work.ctx, config=work.task["config"])
            return {"status": "completed", "output": _output(result)}
        except (Exception, Cancelled) as error:  # noqa: BLE001 - whatever it raises is its result
            return {"status": "failed", "error": describe_error(error)}

    def _bring(self, work: _Work, ended: dict[str, Any]) -> None:
        """Bring a result until it has arrived or is not wanted any more."""
        rest = SHORTEST_REST
        while work.is_wanted and not self.stopped.is_set():
            path = f"/v1/agents/{self.id}/tasks/{work.task['id']}"
            answer = self.line.ask("POST", path, {**ended, "fence": work.task["fence"]})
            if answer is not None and (answer.is_success or answer.status_code in _OVER):
                if answer.is_error:
                    log.warning("A result was not taken: %s", answer.text[:500])
                return
            self.stopped.wait(rest)
            rest = min(LONGEST_REST, rest * 2)

    def _finish(self, heart: threading.Thread) -> None:
        """Let running tasks end, and sign off; a heartbeat after that would say that the process lives."""
        log.info("Stopping: %s tasks are still running.", len(self._works))
        if self.id:
            self.beat()
        with self._lock:
            self._lock.wait_for(lambda: not self._works, timeout=self.grace)
        self.stopped.set()
        heart.join(ANSWER_SECONDS)
        if self.id:
            self.line.ask("DELETE", f"/v1/agents/{self.id}")


def _listen(desk: _Desk, address: tuple[str, int]) -> ThreadingHTTPServer:
    """Take tasks that are sent and signed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length) if 0 < length <= MOST_BYTES else b""
            headers = {name.lower(): value for name, value in self.headers.items()}
            if not desk.secret or not is_genuine(desk.secret, headers, body, now=time.time()):
                self._answer(401)
            elif desk.stopping.is_set() or desk.is_paused or not desk.take(json.loads(body)):
                self._answer(503)
            else:
                self._answer(202)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(address, Handler)
    threading.Thread(target=server.serve_forever, name="listener", daemon=True).start()
    return server


def _address(endpoint: str, listen: tuple[str, int] | None) -> tuple[str, int]:
    parts = urlsplit(endpoint)
    return listen or (parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80))


def _described(agent_type: AgentType) -> dict[str, Any]:
    return {
        "description": agent_type.description,
        "capabilities": [{"name": name} for name in agent_type.capabilities],
        "input_schema": agent_type.input_schema,
        "output_schema": agent_type.output_schema,
        "config_schema": agent_type.config_schema,
    }


def _output(result: Result) -> Any:
    routed = result.route is not None and isinstance(result.output, dict)
    return {**result.output, "route": result.route} if routed else result.output


def _own_name(agent: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{agent}-{socket.gethostname()}-{os.getpid()}")[:100]

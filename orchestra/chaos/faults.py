"""Doing what a plan says to a running house."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from orchestra.chaos.plan import Step
from orchestra.chaos.proxy import FaultProxy
from orchestra.chaos.verdict import Happening
from orchestra.house import House

Say = Callable[[str], None]
Fault = Callable[[Step], str]

_SESSIONS = """
select pid from pg_stat_activity
where usename = current_user and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
MOST_SESSIONS = 5  # ended by one fault


@dataclass
class Faults:
    """What can be done to a house, by name. Who is frozen goes on when its time is over, or at the end."""

    running: House | None  # nothing can be done where there is none
    say: Say
    proxies: dict[str, FaultProxy] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)  # to processes
    done: Counter[str] = field(default_factory=Counter)  # how often each
    _frozen: dict[int, threading.Timer] = field(default_factory=dict)

    @property
    def house(self) -> House:
        """The house it is done to."""
        if self.running is None:
            raise LookupError("This scenario plays on a whole bin/up, and not in a house.")
        return self.running

    def do(self, step: Step) -> None:
        """Do one step of a plan, and say what it came to."""
        came_to = self._known()[step.fault](step)
        self.done[step.fault] += 1
        self.say(f"{step.fault.replace('_', ' ')}: {came_to}")

    def follow(self, steps: list[Step], began: float) -> None:
        """Do each step at its time (seconds after `began`, monotonic)."""
        for step in steps:
            time.sleep(max(0.0, began + step.at - time.monotonic()))
            self.do(step)

    def _known(self) -> dict[str, Fault]:
        return {
            "kill": lambda step: self.signal(step.fault, step.target, signal.SIGKILL),
            "restart": lambda step: self.signal(step.fault, step.target, signal.SIGTERM),
            "freeze": lambda step: self.freeze(step.fault, step.target, step.seconds),
            "flush": lambda _: self.flush(),
            "kill_redis": lambda step: self.signal(step.fault, "valkey", signal.SIGKILL),
            "freeze_redis": lambda step: self.freeze(step.fault, "valkey", step.seconds),
            "stop_postgres": lambda step: self.signal(step.fault, "postgres", signal.SIGQUIT),
            "crash_postgres": lambda _: self.crash_postgres(),
            "end_sessions": lambda _: self.end_sessions(),
            "cut": lambda step: self.cut(step.target),
        }

    def signal(self, fault: str, target: str, number: signal.Signals) -> str:
        """Send a signal to the present process of a program."""
        pid = self.house.pid(target)
        if pid is None:
            return f"{target} is not there"
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        self.happenings.append(Happening(time.time(), fault, target, pid))
        return f"{target} (pid {pid}) got {number.name}"

    def freeze(self, fault: str, target: str, seconds: float) -> str:
        """Stop a process in the middle of whatever it does, and let it go on later."""
        pid = self.house.pid(target)
        if pid is None or pid in self._frozen:
            return f"{target} is not there, or frozen already"
        os.kill(pid, signal.SIGSTOP)
        self.happenings.append(Happening(time.time(), fault, target, pid))
        self._frozen[pid] = timer = threading.Timer(seconds, self.thaw, [pid])
        timer.daemon = True
        timer.start()
        return f"{target} (pid {pid}) stands still for {seconds:.1f} s"

    def thaw(self, pid: int) -> None:
        """Let a frozen process go on."""
        if (timer := self._frozen.pop(pid, None)) is not None:
            timer.cancel()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def thaw_all(self) -> None:
        """Leave nothing frozen."""
        for pid in list(self._frozen):
            self.thaw(pid)

    def flush(self) -> str:
        """Forget everything Redis knows."""
        try:
            with Redis.from_url(self.house.valkey.url, socket_timeout=2, socket_connect_timeout=2) as client:
                keys = client.dbsize()
                client.flushall()
        except RedisError as error:
            return f"Redis does not answer ({error})"
        return f"{keys} keys are gone"

    def crash_postgres(self) -> str:
        """Kill one backend: PostgreSQL then ends all of them and recovers from its log."""
        sessions = self._sessions()
        if not sessions:
            return "there is no session"
        os.kill(random.choice(sessions), signal.SIGKILL)  # noqa: S311
        return f"one of {len(sessions)} backends got SIGKILL"

    def end_sessions(self) -> str:
        """Have PostgreSQL end a few connections of the product."""
        sessions = self._sessions()
        chosen = random.sample(sessions, min(MOST_SESSIONS, len(sessions)))
        with suppress(psycopg.Error), self._database() as connection:
            for session in chosen:
                connection.execute("select pg_terminate_backend(%s)", [session])
        return f"{len(chosen)} of {len(sessions)} sessions were ended"

    def cut(self, target: str) -> str:
        """Reset the network connections to a target."""
        proxy = self.proxies.get(target)
        return f"{proxy.cut()} connections to {target} were reset" if proxy else f"no proxy stands before {target}"

    def _sessions(self) -> list[int]:
        try:
            with self._database() as connection:
                return [pid for (pid,) in connection.execute(_SESSIONS).fetchall()]
        except psycopg.Error:
            return []

    def _database(self) -> "psycopg.Connection[tuple[int]]":
        return psycopg.connect(self.house.postgres.url, autocommit=True, connect_timeout=2)


def port_of(url: str) -> int:
    """The port of an address."""
    port = urlsplit(url).port
    assert port is not None  # noqa: S101 - our own addresses name theirs
    return port


def by_port(url: str, port: int) -> str:
    """The same address with another port."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))


class Between:
    """Proxies before PostgreSQL and Redis; its call is what `running_house` takes as `around`."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.proxies: dict[str, FaultProxy] = {}

    def __call__(self, database_url: str, redis_url: str) -> tuple[str, str]:
        return self.before("postgres", database_url), self.before("redis", redis_url)

    def before(self, name: str, url: str) -> str:
        """Put a proxy before an address, and give the address to use instead."""
        proxy = self.proxies[name] = self.stack.enter_context(FaultProxy("127.0.0.1", port_of(url)))
        return by_port(url, proxy.port)

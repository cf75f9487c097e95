"""A peer in a process of its own, asked over its standard input and output (see `lines`).

While a peer is not asked for anything it is stopped (SIGSTOP) with its children: one that polls every few milliseconds
would cost everybody else.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import psutil

from benchmarks.contender import Took
from orchestra.settings import BASE_DIR

READY_SECONDS = 120.0
ANSWER_SECONDS = 90.0
GOODBYE_SECONDS = 5.0


class Silent(Exception):
    """A peer has ended, or does not answer in time."""


@dataclass(eq=False)
class PeerProcess:
    """One process and what it has said."""

    name: str
    process: subprocess.Popen[str]
    log: Path
    started: float
    ready_seconds: float = 0.0
    lines: SimpleQueue[str] = field(default_factory=SimpleQueue)
    troubles: list[str] = field(default_factory=list)
    contenders: Sequence["Peer"] = ()
    ended: str = ""  # why it can be asked no more

    def begin(self) -> None:
        """Return when the process is ready; it says then which contenders it can be."""
        Thread(target=self._read, daemon=True).start()
        names = self._next(READY_SECONDS)["ready"]
        self.ready_seconds = time.monotonic() - self.started
        self.contenders = [Peer(self, name) for name in names]
        self._send(signal.SIGSTOP)

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer."""
        assert self.process.stdin is not None  # noqa: S101 - for the type checker: it was made with a pipe
        if self.ended:
            raise Silent(self.ended)
        self._send(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            return self._next(ANSWER_SECONDS)
        except BrokenPipeError:
            raise self._end(self._last_words()) from None
        finally:
            self._send(signal.SIGSTOP)

    def end(self) -> None:
        """Let it say goodbye, and see that nothing of it is left."""
        self._send(signal.SIGCONT)
        with suppress(OSError, subprocess.TimeoutExpired):
            if self.process.stdin:
                self.process.stdin.close()
            self.process.wait(GOODBYE_SECONDS)
        self._send(signal.SIGKILL)
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101
        with self.process.stdout as answers:
            for line in answers:
                self.lines.put(line)
        self.lines.put("")

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            line = self.lines.get(timeout=seconds)
        except Empty:
            self._send(signal.SIGKILL)
            raise self._end(f"no answer in {seconds:.0f} s") from None
        if not line:
            raise self._end(self._last_words())
        return dict(json.loads(line))

    def _end(self, why: str) -> Silent:
        self.ended = why
        return Silent(why)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"its process has ended: {lines[-1] if lines else 'it said nothing'}"

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


@dataclass(frozen=True, eq=False)
class Peer:
    """A contender that works in such a process. What it could not do is in the process's troubles."""

    process: PeerProcess
    name: str

    def chain(self, nodes: int) -> Took | None:
        """See Contender.chain."""
        return self._asked("chain", nodes)

    def fanout(self, items: int) -> Took | None:
        """See Contender.fanout."""
        return self._asked("fanout", items)

    def runs(self, runs: int, nodes: int, seconds: float) -> Took | None:
        """See Contender.runs."""
        return self._asked("runs", runs, nodes, seconds)

    def crash(self, seconds: float) -> Took | None:
        """From the kill of who works on a node to the next attempt; None from whom nothing goes on."""
        return self._asked("crash", seconds)

    def _asked(self, work: str, *given: object) -> Took | None:
        try:
            answer = self.process.ask({"contender": self.name, "work": work, "given": given})
        except Silent as silent:
            answer = {"failed": str(silent)}
        if "failed" in answer:
            self.process.troubles.append(f"{self.name}, {work}: {answer['failed']}")
            print(self.process.troubles[-1], file=sys.stderr, flush=True)
        return Took(answer["seconds"]) if "seconds" in answer else None


@contextmanager
def running_peer(name: str, argv: Sequence[str], home: Path) -> Iterator[PeerProcess]:
    """A peer that is ready, until the block ends; raises Silent where it does not start."""
    log = home / f"{name}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=BASE_DIR,
            env=_environment(),
            start_new_session=True,
        )
    peer = PeerProcess(name, process, log, time.monotonic())
    _write_down(home, process.pid)
    try:
        peer.begin()
        yield peer
    finally:
        peer.end()


def end_left_behind(home: Path) -> None:
    """End the peers of a session that was killed: stopped as they are, they would stay for ever."""
    with suppress(FileNotFoundError):
        for line in (home / "peers").read_text().splitlines():
            group, began = line.split()
            with suppress(psutil.Error, ProcessLookupError):
                if psutil.Process(int(group)).create_time() == float(began):
                    os.killpg(int(group), signal.SIGKILL)


def _write_down(home: Path, pid: int) -> None:
    with (home / "peers").open("a") as record, suppress(psutil.Error):
        record.write(f"{pid} {psutil.Process(pid).create_time()}\n")


def _environment() -> dict[str, str]:
    ours = ("ORCHESTRA_", "DJANGO_", "VIRTUAL_ENV", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}

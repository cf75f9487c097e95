"""Keep programs running in one terminal: prefixed output, restart with backoff, ordered stop.

A few threads do this better than the `supervisor` package would here: that one wants a generated ini file and XML-RPC
to start things in phases, prefixes output only through an event listener, and loses its children when it is killed.
This one writes down what it started, so that the next start can end what a `kill -9` left behind.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from orchestra.fork_server import Request
from orchestra.forked import Forked, ForkServer, ForkServerClosed, adopt_orphans, reap_strangers

BACKOFF_FIRST = 0.2
BACKOFF_MOST = 10.0
STEADY_SECONDS = 3.0  # up for this long: the next death starts again at the first backoff
COLOURS = {"postgres": 34, "valkey": 35, "web1": 32, "web2": 32}
WORKER_COLOUR = 36

Process = subprocess.Popen[bytes] | Forked


@dataclass(frozen=True)
class Account:
    """The unprivileged system user that a program runs as when root starts it."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """What to run, as whom, and how it wants to be asked to stop."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    hurry_signal: signal.Signals = signal.SIGKILL
    stop_seconds: float = 3.0
    descriptors: tuple[int, ...] = ()  # open files that it takes over
    muted: tuple[str, ...] = ()  # lines with one of these texts tell nobody anything
    forked: bool = False  # by the fork server, where there is one

    def as_request(self) -> Request:
        """Ask the fork server for what `argv` would start: a module with its arguments."""
        module, *arguments = self.argv[self.argv.index("-m") + 1 :]
        return Request(module, arguments, list(self.descriptors))

    def popen(self, output: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Start the program in a session of its own, so that Ctrl-C reaches only its supervisor."""
        return subprocess.Popen(  # noqa: S603 - argv comes from this package
            self.argv,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/" if self.account else None,
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
            pass_fds=self.descriptors,
            start_new_session=True,
        )


class Terminal:
    """The one place that writes lines, so that lines of different programs never mix."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self.coloured = self._stream.isatty() and "NO_COLOR" not in os.environ
        self.last_written = time.monotonic()

    def line(self, text: str) -> None:
        """Write one line at once; a terminal that has gone away is no reason to stop."""
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(text + "\n")
            self._stream.flush()
            self.last_written = time.monotonic()

    def prefixed(self, name: str, text: str) -> None:
        """Write one line of a program behind its name."""
        label = f"{name:<9}|"
        if self.coloured:
            label = f"\033[{COLOURS.get(name, WORKER_COLOUR)}m{label}\033[0m"
        self.line(f"{label} {text}")


@dataclass
class Child:
    """One program and its present process."""

    program: Program
    terminal: Terminal
    on_change: Callable[[], None]
    spawn: Callable[[Program], Process]
    process: Process | None = None
    restarts: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _reader: threading.Thread | None = None

    def start(self) -> None:
        """Start the program, and again whenever it ends before `ask_to_stop`."""
        if not self.program.forked:  # a fork may have to wait for its server
            self._spawn()
        threading.Thread(target=self._keep, name=self.program.name, daemon=True).start()

    def ask_to_stop(self) -> None:
        """Send the stop signal and do not restart any more."""
        self._stopping.set()
        self._signal(self.program.stop_signal)

    def wait_stopped(self, deadline: float) -> None:
        """Return when the process has ended; at the deadline end it without asking."""
        if self.process is None:
            return
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            self._signal(self.program.hurry_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
            self._signal(signal.SIGKILL)
        if self._reader is not None:
            self._reader.join(1)  # its last words

    @property
    def running(self) -> bool:
        """Tell whether a process is there right now."""
        return self.process is not None and self.process.poll() is None

    def _spawn(self) -> None:
        self.process = self.spawn(self.program)
        if self._stopping.is_set():
            self._signal(self.program.stop_signal)
        assert self.process.stdout is not None  # noqa: S101 - for the type checker: it is made with a pipe
        self._reader = threading.Thread(target=self._copy_output, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        self.on_change()

    def _copy_output(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                text = line.decode(errors="replace").rstrip()
                if text and not any(muted in text for muted in self.program.muted):
                    self.terminal.prefixed(self.program.name, text)

    def _keep(self) -> None:
        backoff = BACKOFF_FIRST
        if self.process is None:
            with contextlib.suppress(ForkServerClosed):
                self._spawn()
        while self.process is not None:
            started = time.monotonic()
            code = self.process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > STEADY_SECONDS:
                backoff = BACKOFF_FIRST
            self.terminal.prefixed(self.program.name, f"{ending(code)}; starting again in {backoff:.1f} s")
            if self._stopping.wait(backoff):
                return
            backoff = min(backoff * 2, BACKOFF_MOST)
            self.restarts += 1
            self._spawn()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


def ending(code: int) -> str:
    """Say in words how a process ended."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


class Supervisor:
    """The programs of one `up`, written down in `record` while they run."""

    def __init__(self, record: Path, terminal: Terminal) -> None:
        self.children: dict[str, Child] = {}
        self.fork_server: ForkServer | None = None
        self._server_names: set[str] = set()
        self._servers: dict[str, Process] = {}
        self._electing = threading.Lock()
        self._record = record
        self._recorded: set[str] = set()
        self._terminal = terminal
        self._lock = threading.Lock()

    def start(self, *programs: Program) -> None:
        """Start programs and keep them running."""
        for program in programs:
            child = Child(program, self._terminal, self._write_record, self._spawn)
            self.children[program.name] = child
            child.start()

    def start_fork_servers(self, programs: Callable[[socket.socket], Sequence[Program]]) -> None:
        """Have programs forked from now on, where the system can; each then starts at once after a death.

        The servers answer on the same socket, and a new one is forked by another, if that lives.
        """
        if adopt_orphans():
            self.fork_server = ForkServer()
            servers = programs(self.fork_server.end)
            self._server_names = {server.name for server in servers}
            self.start(*servers)

    @property
    def all_started(self) -> bool:
        """Tell whether each of the programs has had a process, and the record names it."""
        return self.children.keys() <= self._recorded

    def _spawn(self, program: Program) -> Process:
        if not (program.forked and self.fork_server):
            return program.popen()
        if program.name not in self._server_names:
            return self.fork_server.fork(program.as_request())
        return self._elected(program) or self._forked_by_another(program, self.fork_server)

    def _elected(self, server: Program) -> Process | None:
        """The one fork server that is started anew, where there is none."""
        with self._electing:
            if any(other.poll() is None for other in self._servers.values()):
                return None
            process = self._servers[server.name] = server.popen()
            return process

    def _forked_by_another(self, server: Program, fork_server: ForkServer) -> Process:
        process = self._servers[server.name] = fork_server.fork(server.as_request())
        return process

    def stop(self, names: Iterable[str]) -> None:
        """Ask all the named programs to stop, then wait for each as long as it may take."""
        children = [self.children[name] for name in names]
        asked = time.monotonic()
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.wait_stopped(asked + child.program.stop_seconds)
        for child in children:
            self.children.pop(child.program.name, None)
        self._write_record()
        if self.fork_server and not self.children:
            self.fork_server.close()

    def _write_record(self) -> None:
        reap_strangers({child.process.pid for child in list(self.children.values()) if child.process})
        with self._lock:
            rows = [
                {"name": name, "pid": child.process.pid, "started": started}
                for name, child in list(self.children.items())
                if child.process is not None and (started := birth(child.process.pid)) is not None
            ]
            write_private(self._record, json.dumps(rows))
            self._recorded = {str(row["name"]) for row in rows}


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, in one step."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def birth(pid: int) -> float | None:
    """Give the time a process started; with its pid this names it for good, as pids are used again."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def stop_left_behind(record: Path, stop_signals: Mapping[str, signal.Signals], seconds: float = 4.0) -> list[str]:
    """End what a killed supervisor left running, and give the names.

    A recorded pid counts only while the process behind it is the one that was started.
    """
    left = list(_still_running(record))
    for name, process in left:
        with contextlib.suppress(psutil.Error):
            process.send_signal(stop_signals.get(name, signal.SIGTERM))
    _gone, alive = psutil.wait_procs([process for _name, process in left], timeout=seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=1)
    record.unlink(missing_ok=True)
    return [name for name, _process in left]


def _still_running(record: Path) -> Iterator[tuple[str, psutil.Process]]:
    try:
        rows = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return
    for row in rows:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(row["pid"])
            same = abs(process.create_time() - row["started"]) < 1
            if same and process.status() != psutil.STATUS_ZOMBIE:
                yield row["name"], process

"""The supervisor: restart, order, and what a killed one left behind."""

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orchestra.supervisor import Program, Supervisor, Terminal, stop_left_behind


def python(code: str, **options: object) -> Program:
    return Program("child", (sys.executable, "-u", "-c", code), dict(os.environ), **options)  # type: ignore[arg-type]


def wait_until(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, output: io.StringIO) -> Supervisor:
    return Supervisor(tmp_path / "processes.json", Terminal(output))


def test_a_line_of_a_child_carries_its_name(supervisor: Supervisor, output: io.StringIO) -> None:
    supervisor.start(python("import time; print('hello'); time.sleep(60)"))

    wait_until(lambda: "child    | hello\n" in output.getvalue())
    supervisor.stop(["child"])


def test_a_child_that_is_killed_starts_again(supervisor: Supervisor, output: io.StringIO) -> None:
    supervisor.start(python("import time; time.sleep(60)"))
    child = supervisor.children["child"]
    assert child.process

    child.process.kill()

    wait_until(lambda: child.restarts == 1 and child.running)
    assert "killed by SIGKILL; starting again in 0.2 s" in output.getvalue()
    supervisor.stop(["child"])


def test_a_child_that_keeps_dying_is_started_ever_later(supervisor: Supervisor, output: io.StringIO) -> None:
    supervisor.start(python("raise SystemExit(3)"))

    wait_until(lambda: "in 0.4 s" in output.getvalue())
    supervisor.stop(["child"])
    assert "ended with exit code 3; starting again in 0.2 s" in output.getvalue()


def test_a_child_that_does_not_listen_is_ended_at_the_deadline(supervisor: Supervisor, output: io.StringIO) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    supervisor.start(python(deaf, stop_seconds=0.2))
    process = supervisor.children["child"].process
    assert process
    wait_until(lambda: "deaf" in output.getvalue())

    supervisor.stop(["child"])

    assert process.returncode == -signal.SIGKILL


def test_what_a_killed_supervisor_left_is_ended_by_the_next(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.start(python("import time; time.sleep(60)"))
    child = supervisor.children["child"]
    assert child.process
    child._stopping.set()  # as if its supervisor were gone

    names = stop_left_behind(tmp_path / "processes.json", {})

    assert names == ["child"]
    ends = time.monotonic() + 10
    while child.running and time.monotonic() < ends:
        time.sleep(0.02)
    assert not child.running


def test_a_recorded_pid_that_is_another_process_by_now_is_left_alone(tmp_path: Path) -> None:
    started = psutil.Process().create_time() - 100
    record = tmp_path / "processes.json"
    record.write_text(f'[{{"name": "web", "pid": {os.getpid()}, "started": {started}}}]')

    assert stop_left_behind(record, {}) == []

"""The fork server: programs that start in no time, and outlive it."""

import io
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from orchestra.forked import Forked
from orchestra.programs import FORK_SERVERS, fork_servers
from orchestra.supervisor import Program, Supervisor, Terminal
from tests.project.test_supervisor import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to a supervisor")
IMPORTED_SECONDS = 60.0  # generous: it imports all of Orchestra


@pytest.fixture(scope="module")
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory, output: io.StringIO) -> Iterator[Supervisor]:
    """One with a fork server."""
    record: Path = tmp_path_factory.mktemp("supervisor") / "processes.json"
    supervisor = Supervisor(record, Terminal(output))
    supervisor.start_fork_servers(partial(fork_servers, environment=dict(os.environ)))
    yield supervisor
    supervisor.stop(list(supervisor.children))


def forkable(name: str, *descriptors: int) -> Program:
    argv = (sys.executable, "-m", "tests.project.forkable", name, *map(str, descriptors))
    return Program(name, argv, dict(os.environ), descriptors=descriptors, forked=True)


def started(supervisor: Supervisor, output: io.StringIO, program: Program) -> int:
    """The pid of the program, once it has spoken."""
    supervisor.start(program)
    wait_until(lambda: f"arguments {program.name}" in output.getvalue(), IMPORTED_SECONDS)
    return pid_of(supervisor, program.name)


def pid_of(supervisor: Supervisor, name: str) -> int:
    process = supervisor.children[name].process
    assert process
    return process.pid


def test_a_program_is_forked_with_its_arguments_and_descriptors(supervisor: Supervisor, output: io.StringIO) -> None:
    reading, writing = os.pipe()

    pid = started(supervisor, output, forkable("first", writing))

    assert "session True" in output.getvalue()
    assert os.read(reading, 100) == b"taken over\n"
    assert psutil.Process(pid).ppid() == os.getpid()
    supervisor.stop(["first"])
    assert not psutil.pid_exists(pid)


def test_a_forked_program_that_is_killed_starts_again(supervisor: Supervisor, output: io.StringIO) -> None:
    pid = started(supervisor, output, forkable("second"))

    psutil.Process(pid).kill()

    wait_until(lambda: output.getvalue().count("arguments second") == 2)
    assert "second   | killed by SIGKILL; starting again in 0.2 s" in output.getvalue()
    assert pid_of(supervisor, "second") != pid
    supervisor.stop(["second"])


def test_programs_outlive_their_fork_servers_and_new_ones_wait_for_the_next(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    pid = started(supervisor, output, forkable("third"))
    servers = kill_the_servers(supervisor, *FORK_SERVERS)

    started(supervisor, output, forkable("fourth"))

    wait_until(lambda: servers.isdisjoint(pid_of(supervisor, name) for name in FORK_SERVERS), IMPORTED_SECONDS)
    assert psutil.Process(pid).is_running()
    assert pid_of(supervisor, "third") == pid
    supervisor.stop(["third", "fourth"])


def test_everything_has_started_once_what_waits_for_a_fork_server_is_there_too(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    kill_the_servers(supervisor, *FORK_SERVERS)

    supervisor.start(forkable("fifth"))
    before = supervisor.all_started

    wait_until(lambda: supervisor.all_started, IMPORTED_SECONDS)
    assert not before
    assert supervisor.children["fifth"].running
    supervisor.stop(["fifth"])


@pytest.mark.parametrize("name", FORK_SERVERS)
def test_where_one_fork_server_dies_the_other_one_forks_it_again(
    supervisor: Supervisor, output: io.StringIO, name: str
) -> None:
    (killed,) = kill_the_servers(supervisor, name)

    started(supervisor, output, forkable(f"beside-{name}"))

    wait_until(lambda: pid_of(supervisor, name) != killed)
    assert isinstance(supervisor.children[name].process, Forked)
    supervisor.stop([f"beside-{name}"])


def kill_the_servers(supervisor: Supervisor, *names: str) -> set[int]:
    wait_until(lambda: all(supervisor.children[name].running for name in names), IMPORTED_SECONDS)
    killed = {pid_of(supervisor, name) for name in names}
    for pid in killed:
        psutil.Process(pid).kill()
    return killed


def test_a_program_that_was_stopped_while_it_waited_for_its_fork_ends(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    kill_the_servers(supervisor, *FORK_SERVERS)
    supervisor.start(forkable("fifth"))
    child = supervisor.children["fifth"]

    supervisor.stop(["fifth"])

    wait_until(lambda: child.process is not None and not child.running, IMPORTED_SECONDS)


def test_a_program_whose_end_was_seen_by_somebody_else_has_ended() -> None:
    dead = os.spawnvp(os.P_NOWAIT, "true", ["true"])  # noqa: S606
    os.waitpid(dead, 0)

    process = Forked(dead, io.BytesIO())

    assert process.wait(10) != 0

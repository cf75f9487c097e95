"""A session and a peer's process: one that fails, or cannot be had, costs only its own column."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from benchmarks.contender import Took
from benchmarks.house import wait_until
from benchmarks.peers import environments
from benchmarks.peers.environments import NotInstalled, python_of
from benchmarks.peers.process import PeerProcess, Silent, end_left_behind, running_peer

Begin = Callable[..., PeerProcess]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start the fake peer; it ends with the test."""
    with ExitStack() as stack:
        argv = (sys.executable, "-m", "tests.benchmarks.fake_peer")
        yield lambda with_child="no": stack.enter_context(running_peer("fake", (*argv, with_child), tmp_path))


def test_a_peer_says_how_long_its_work_took(begin: Begin) -> None:
    (peer,) = begin().contenders

    took = peer.chain(10)

    assert peer.name == "Fake 1.0"
    assert took == Took(10.0)


def test_what_a_peer_cannot_do_is_left_out_and_no_trouble(begin: Begin) -> None:
    process = begin()
    (peer,) = process.contenders

    assert peer.chain(100) is None
    assert peer.crash(1.0) is None
    assert process.troubles == []


def test_work_that_fails_is_told_and_the_next_goes_on(begin: Begin) -> None:
    process = begin()
    (peer,) = process.contenders

    failed, next_one = peer.fanout(1000), peer.chain(10)

    assert failed is None
    assert next_one == Took(10.0)
    assert process.troubles == ["Fake 1.0, fanout: ValueError: 1000 are too many"]


def test_a_peer_that_dies_is_told_with_its_last_words(begin: Begin) -> None:
    process = begin()
    (peer,) = process.contenders

    assert peer.runs(200, 5, 0) is None
    assert peer.chain(10) is None
    assert process.troubles[0] == "Fake 1.0, runs: its process has ended: out of memory"


def test_a_peer_that_does_not_start_says_why(begin: Begin) -> None:
    with pytest.raises(Silent, match="no database"):
        begin("broken")


def test_a_peer_rests_while_it_is_not_asked(begin: Begin) -> None:
    process = begin("yes")
    family = [psutil.Process(process.process.pid), *psutil.Process(process.process.pid).children()]

    process.contenders[0].chain(10)

    assert len(family) == 2
    # Bounded: a signal takes effect when its process is next given a processor.
    wait_until(lambda: {one.status() for one in family} == {psutil.STATUS_STOPPED}, "they still run", seconds=20)


def test_nothing_of_a_peer_is_left(tmp_path: Path) -> None:
    argv = (sys.executable, "-m", "tests.benchmarks.fake_peer", "yes")
    with running_peer("fake", argv, tmp_path) as process:
        children = psutil.Process(process.process.pid).children()

    _gone, alive = psutil.wait_procs(children, timeout=5)  # bounded: a killed process needs a moment to be reaped

    assert children
    assert alive == []


def test_the_next_session_ends_the_peers_of_one_that_was_killed(begin: Begin, tmp_path: Path) -> None:
    process = begin()

    end_left_behind(tmp_path)

    assert process.process.wait(5) < 0  # bounded: SIGKILL needs no time


def test_another_process_with_the_pid_of_a_peer_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "peers").write_text(f"{os.getpid()} 1.0\n")

    end_left_behind(tmp_path)

    assert psutil.pid_exists(os.getpid())


def test_a_peer_that_cannot_be_installed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "environments")
    (tmp_path / "fake.txt").write_text("no-hash-for-this==1.0\n")

    with pytest.raises(NotInstalled, match="hash"):
        python_of("fake")

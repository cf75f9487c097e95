"""Real processes: `bin/up` as a person starts it, in a directory that is thrown away."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestra import embedded
from tests.acceptance.orchestra_process import RunningOrchestra, Start


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A fresh ORCHESTRA_HOME, one for a module."""
    path = Path(tempfile.mkdtemp(prefix="orchestra-test-")) / "home"
    path.mkdir()
    yield path
    embedded.remove_state(path)
    shutil.rmtree(path.parent)


@pytest.fixture(scope="module")
def running() -> list[RunningOrchestra]:
    """Every one that was started, the newest last."""
    return []


@pytest.fixture(scope="module")
def start(home: Path, running: list[RunningOrchestra]) -> Iterator[Start]:
    """Start `bin/up` in that home, as often as a test wants; what ran there before ends, unless this is `beside` it."""
    port = embedded.free_port(18000 + os.getpid() % 2000)

    def start_up(*arguments: str, beside: bool = False, **environment: str) -> RunningOrchestra:
        if not beside:
            end_all()
        running.append(RunningOrchestra(home, port, *arguments, **environment))
        return running[-1]

    def end_all() -> None:
        for orchestra in running:
            orchestra.end()

    yield start_up
    end_all()


@pytest.fixture
def newest(running: list[RunningOrchestra]) -> RunningOrchestra:
    """The one that the test before left running."""
    return running[-1].wait_ready()


@pytest.fixture(scope="module")
def orchestra(start: Start) -> RunningOrchestra:
    """One that runs and is ready."""
    return start().wait_ready()

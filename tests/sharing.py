"""How several test processes share the tests (`pytest -n 2`): a file is never split, and what takes long goes first."""

import os
from typing import Any

import pytest

# Those start whole Orchestras. One process runs each of the two groups, one file after the other, so that no more than
# two Orchestras take each other's processors away; anything new is a file like any other until it is named here.
REAL = (
    (
        "tests/acceptance/",
        "tests/browser/test_journeys.py",
    ),
    (
        "tests/benchmarks/",
        "tests/docs/test_commands_in_docs.py",
        "tests/docs/test_pictures_in_docs.py",
    ),
)
# What takes a minute or more beside them: a file with many examples is known by Hypothesis' mark, and these by name.
LONG = ("tests/browser/", "tests/workflows/test_run_machine.py")
MOST_PROCESSES = 4  # more would only wait for those with whole Orchestras


@pytest.hookimpl(trylast=True)  # after Hypothesis has marked its tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest: whatever is begun last is what everybody waits for."""
    for item in items:
        if _group(item.nodeid) is not None and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))  # to start a whole Orchestra takes a busy machine a minute
    if hasattr(config, "workerinput"):
        long = {item.path for item in items if item.get_closest_marker("hypothesis") or item.nodeid.startswith(LONG)}
        items.sort(key=lambda item: (_group(item.nodeid) is None, item.path not in long))


def _group(nodeid: str) -> str | None:
    """Which of REAL it belongs to."""
    return next((files[0] for files in REAL if nodeid.startswith(files)), None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: while one waits for a server or a browser, another has a processor."""
    return min((os.cpu_count() or 1) + 1, MOST_PROCESSES)


@pytest.hookimpl(optionalhook=True)  # there is none where xdist is switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share by file, unless `--dist` says how."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415

    class Sharing(LoadFileScheduling):
        """Shares files in the order of the collection, with each group of REAL as one of them."""

        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid) or super()._split_scope(nodeid)

    if config.option.dist != "load":
        return None
    config.option.loadscopereorder = False
    return Sharing(config, log)

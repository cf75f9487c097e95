"""How several test processes share the tests (`pytest -n 2`): a file is never split, and what takes long goes first."""

from typing import Any

import pytest

# Those start whole Orchestras. One process runs them all, one after the other, so that they do not take each other's
# processors away; anything new is a file like any other until it is named here.
REAL = (
    "tests/acceptance/",
    "tests/benchmarks/",
    "tests/browser/test_journeys.py",
    "tests/docs/test_commands_in_docs.py",
    "tests/docs/test_pictures_in_docs.py",
)


@pytest.hookimpl(trylast=True)  # after Hypothesis has marked its tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest: whatever is begun last is what everybody waits for."""
    for item in items:
        if item.nodeid.startswith(REAL) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))  # to start a whole Orchestra takes a busy machine a minute
    if hasattr(config, "workerinput"):
        many_examples = {item.path for item in items if item.get_closest_marker("hypothesis")}
        items.sort(key=lambda item: (not item.nodeid.startswith(REAL), item.path not in many_examples))


@pytest.hookimpl(optionalhook=True)  # there is none where xdist is switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share by file, unless `--dist` says how."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415

    class Sharing(LoadFileScheduling):
        """Shares files in the order of the collection, with all of REAL as one of them."""

        def _split_scope(self, nodeid: str) -> str:
            return "real" if nodeid.startswith(REAL) else super()._split_scope(nodeid)

    if config.option.dist != "load":
        return None
    config.option.loadscopereorder = False
    return Sharing(config, log)

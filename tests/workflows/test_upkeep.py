"""What the apps below have done again and again: all of it works as the recovery does it."""

from collections.abc import Iterator

import pytest

from apps.common import intervals, upkeep


@pytest.fixture
def done() -> Iterator[list[str]]:
    """What two chores have done, one that is done each time and one that is done once in a minute."""
    did: list[str] = []
    upkeep.register("often", lambda: did.append("often") or 1)
    upkeep.register("seldom", lambda: did.append("seldom") or 2, every=60)
    yield did
    for name in ("often", "seldom"):
        del upkeep._chores[name]


@pytest.mark.parametrize("name", sorted(upkeep._chores))
def test_each_piece_of_upkeep_works_outside_of_any_organization(transactional_db: None, name: str) -> None:
    assert upkeep._chores[name].work() == 0


def test_what_has_time_is_done_after_its_rest(
    done: list[str], transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1_000_000.0
    monkeypatch.setattr(intervals.time, "monotonic", lambda: clock)

    for clock in (1_000_000.0, 1_000_001.0, 1_000_059.0, 1_000_061.0):  # noqa: B007 - it is the clock
        upkeep.do_all()

    assert done == ["often", "seldom", "often", "often", "often", "seldom"]

"""What the apps below have done again and again: all of it works as the recovery does it."""

import pytest

from apps.common import upkeep


@pytest.mark.parametrize("name", sorted(upkeep._works))
def test_each_piece_of_upkeep_works_outside_of_any_organization(transactional_db: None, name: str) -> None:
    assert upkeep._works[name]() == 0

"""What the command palette finds beside pages: the apps register how their things are searched for."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

MOST = 8  # of each kind


@dataclass(frozen=True, slots=True)
class Found:
    """A line of the palette."""

    label: str
    kind: str  # what it is, in one word: Workflow, Run
    icon: str
    url: str


Search = Callable[[str, int], Iterable[Found]]
_searches: dict[str, Search] = {}


def register_search(name: str, search: Search) -> None:
    """Have the palette ask this too, for so many things at most, within the organization's scope."""
    _searches[name] = search


def find(text: str) -> list[dict[str, str]]:
    """Give what the apps find, in the order of their names."""
    return [asdict(found) for _, search in sorted(_searches.items()) for found in search(text, MOST)]

"""Names to things: the one way agents and tools are looked up (never by an import path from data)."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from apps.common.errors import NotFound

T = TypeVar("T")

MOST_NAMES_LISTED = 20


class DuplicateNameError(Exception):
    """Two different definitions claim one name."""


class Registry(Generic[T]):
    """Keep what code has registered under unique names, in the order of the names."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[str, T]] = {}
        self.changes = 0  # how often it changed, so that what is worked out from it knows when to be renewed

    def register(self, name: str, entry: T, *, origin: str) -> None:
        """Add an entry; `origin` (module and qualified name) tells a re-import from a second claim."""
        holder, _ = self._entries.get(name, (origin, None))
        if holder != origin:
            raise DuplicateNameError(
                f"{self.kind.capitalize()} '{name}' is defined twice: by {holder} and by {origin}."
            )
        self._entries[name] = (origin, entry)
        self.changes += 1

    def unregister(self, name: str) -> None:
        """Forget a name, as a test or an unloaded plugin needs it; an unknown one is no error."""
        self._entries.pop(name, None)
        self.changes += 1

    def get(self, name: str) -> T:
        """Give the entry, or raises NotFound that names the nearest existing one."""
        try:
            return self._entries[name][1]
        except KeyError:
            raise NotFound(
                f"There is no {self.kind} '{name}'.{nearest(name, self._entries)}", code=f"unknown_{self.kind}"
            ) from None

    def find(self, name: str) -> T | None:
        """Give the entry; None where nobody has registered one."""
        found = self._entries.get(name)
        return found[1] if found else None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[T]:
        # Sorted into a list first: a plugin may register while another thread iterates.
        return iter([entry for _, (_, entry) in sorted(self._entries.items())])

    def __len__(self) -> int:
        return len(self._entries)


def nearest(name: str, known: Iterable[str]) -> str:
    """Give ` Did you mean 'x'?` for the closest known name, else the known names, else nothing."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f" Did you mean '{close[0]}'?"
    if 0 < len(names) <= MOST_NAMES_LISTED:
        return f" Known: {', '.join(names)}."
    return ""

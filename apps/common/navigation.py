"""What the left side of every page lists. A page appears there as soon as its address has a name from here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True, slots=True)
class Entry:
    """A page of the navigation: the name of its address, and how people know and reach it."""

    name: str
    label: str
    icon: str
    chord: str = ""  # `g` and then this key


SECTIONS: tuple[tuple[Entry, ...], ...] = (
    (
        Entry("home", "Home", "house", "h"),
        Entry("workflows", "Workflows", "workflow", "w"),
        Entry("runs", "Runs", "circle-play", "r"),
        Entry("approvals", "Approvals", "inbox", "a"),
    ),
    (
        Entry("agents", "Agents", "bot", "e"),
        Entry("tools", "Tools", "wrench", "t"),
        Entry("channels", "Channels", "send", "c"),
        Entry("templates", "Templates", "layout-template", "m"),
    ),
    (Entry("usage", "Usage", "chart-column", "u"),),
    (Entry("settings", "Settings", "settings", "s"),),
)

Badge = Callable[[], int]
_badges: dict[str, Badge] = {}


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as one page shows it."""

    entry: Entry
    url: str
    is_current: bool
    badge: Badge | None

    @property
    def count(self) -> int:
        """Give how many things wait there; asked within the organization's scope."""
        return self.badge() if self.badge else 0


def register_badge(name: str, count: Badge) -> None:
    """Have an entry show a number; the function runs at every page, within the organization's scope."""
    _badges[name] = count


def navigation(path: str) -> list[list[Link]]:
    """Give the sections with the pages that exist; the one that `path` belongs to is current."""
    sections = (list(_links(section, path)) for section in SECTIONS)
    return [section for section in sections if section]


def _links(section: tuple[Entry, ...], path: str) -> Iterator[Link]:
    for entry in section:
        if url := _url(entry.name):
            is_current = path == url or (url != "/" and path.startswith(f"{url}/"))
            yield Link(entry, url, is_current, _badges.get(entry.name))


@cache
def _url(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None

"""The tools this process knows, and where those come from that only one organization has."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from apps.common.database import release_connection
from apps.common.registry import Registry

if TYPE_CHECKING:
    from apps.integrations.tools import Tool


class Source(Protocol):
    """Tools that organizations have each for themselves; the names of all of them begin with `prefix`."""

    prefix: str

    def find(self, organization_id: UUID, name: str) -> "Tool | None":
        """Give the organization's tool of this name; None where it has none."""

    def all(self, organization_id: UUID) -> "Iterable[Tool]":
        """Give every tool of the organization."""


_tools: "Registry[Tool]" = Registry("tool")
_sources: dict[str, Source] = {}  # by prefix


def register(tool: "Tool") -> None:
    """Make a tool known by its name; a second tool of that name raises DuplicateNameError."""
    _tools.register(tool.name, tool, origin=tool.origin)


def register_source(source: Source) -> None:
    """Look up names with the source's prefix in it, for the organization that asks."""
    _sources[source.prefix] = source


def unregister(name: str) -> None:
    """Forget a tool."""
    _tools.unregister(name)


def get(name: str, organization_id: UUID | None = None) -> "Tool":
    """Give the tool, of this process or of the organization, or raises NotFound naming the nearest one."""
    return find(name, organization_id) or _tools.get(name)


async def aget(name: str, organization_id: UUID | None = None) -> "Tool":
    """Do what `get` does, for async code: what asks the database is asked on a thread."""
    if source_of(name) is None or organization_id is None:
        return _tools.get(name)
    return await asyncio.to_thread(_get_and_release, name, organization_id)


def find(name: str, organization_id: UUID | None = None) -> "Tool | None":
    """Give the tool; None where neither this process nor the organization has it."""
    found = _tools.find(name)
    if found is None and organization_id is not None and (source := source_of(name)):
        return source.find(organization_id, name)
    return found


def source_of(name: str) -> Source | None:
    """Give where tools of such a name come from, when it is not the process."""
    return next((source for prefix, source in _sources.items() if name.startswith(prefix)), None)


def sources() -> Iterable[Source]:
    """Give all that tools of organizations come from."""
    return _sources.values()


def changes() -> int:
    """How often a tool was registered or forgotten."""
    return _tools.changes + len(_sources)


def all(organization_id: UUID | None = None) -> "Iterator[Tool]":  # noqa: A001 - reads as registry.all()
    """Give every tool of this process by name, then those of the organization."""
    yield from _tools
    if organization_id is not None:
        for source in _sources.values():
            yield from source.all(organization_id)


def _get_and_release(name: str, organization_id: UUID) -> "Tool":
    try:
        return get(name, organization_id)
    finally:
        release_connection()  # the executor's threads live on; a connection kept there is lost to the pool

"""The tools this process knows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from apps.common.registry import Registry

if TYPE_CHECKING:
    from apps.integrations.tools import Tool

_tools: "Registry[Tool]" = Registry("tool")


def register(tool: "Tool") -> None:
    """Make a tool known by its name; a second tool of that name raises DuplicateNameError."""
    _tools.register(tool.name, tool, origin=tool.origin)


def unregister(name: str) -> None:
    """Forget a tool."""
    _tools.unregister(name)


def get(name: str) -> "Tool":
    """Give the tool, or raises NotFound naming the nearest one."""
    return _tools.get(name)


def find(name: str) -> "Tool | None":
    """Give the tool; None where this process does not have it."""
    return _tools.find(name)


def changes() -> int:
    """How often a tool was registered or forgotten."""
    return _tools.changes


def all() -> "Iterator[Tool]":  # noqa: A001 - reads as registry.all()
    """Give every tool, by name."""
    return iter(_tools)

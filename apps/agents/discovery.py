"""Finding plugins: importing one registers its agents and tools."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from django.conf import settings

ENTRY_POINT_GROUP = "orchestra.plugins"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be imported."""

    plugin: str  # as it was named
    source: str  # who named it
    reason: str  # type and message of what it raised


failures: list[Failure] = []  # of the last discovery, for `doctor`


def discover() -> None:
    """Import every plugin; one that fails is logged and kept in `failures`, the others still load."""
    failures.clear()
    for plugin, source, load in _plugins():
        try:
            load()
        except (Exception, SystemExit) as error:  # whatever it raises, it must not stop the platform
            reason = f"{type(error).__name__}: {error}"
            failures.append(Failure(plugin, source, reason))
            logger.exception("Plugin %s (from %s) could not be loaded: %s", plugin, source, reason)


def _plugins() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        yield entry.value, f"entry point '{entry.name}'", entry.load
    for module in settings.ORCHESTRA_PLUGINS:
        yield module, "setting ORCHESTRA_PLUGINS", partial(import_module, module)

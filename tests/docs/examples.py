"""The Python examples of a document, in force for a while: what they register is forgotten afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apps.agents import registry as agents
from apps.integrations import registry as tools
from apps.workflows.engine import spec
from apps.workflows.nodes import registry as handlers
from tests.docs.blocks import blocks


@contextmanager
def examples_of(path: Path) -> Iterator[dict[str, Any]]:
    """Run them in order, in one namespace."""
    known_agents = {agent.name for agent in agents.all()}
    known_tools = {tool.name for tool in tools.all()}
    known_types, known_handlers = dict(spec._NODE_TYPES), dict(handlers.WORK)
    namespace: dict[str, Any] = {"__name__": f"examples_of_{path.stem}"}
    try:
        for block in blocks("python", paths=[path]):
            source = "\n" * block.line + block.text  # so that an error names the line of the document
            exec(compile(source, path, "exec", dont_inherit=True), namespace)  # noqa: S102 - our own documents
        yield namespace
    finally:
        for agent in [agent for agent in agents.all() if agent.name not in known_agents]:
            agents.unregister(agent.name)
        for tool in [tool for tool in tools.all() if tool.name not in known_tools]:
            tools.unregister(tool.name)
        _replace(spec._NODE_TYPES, known_types)
        _replace(handlers.WORK, known_handlers)


def _replace(registry: dict[str, Any], known: dict[str, Any]) -> None:
    registry.clear()
    registry.update(known)

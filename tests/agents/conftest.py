import pytest

from apps.agents import registry
from apps.integrations import registry as tools


@pytest.fixture(autouse=True)
def forget_new_definitions():
    """Let each test define agents and tools under names that others use too."""
    agents_before = {agent_type.name for agent_type in registry.all()}
    tools_before = {tool.name for tool in tools.all()}
    yield
    for name in {agent_type.name for agent_type in registry.all()} - agents_before:
        registry.unregister(name)
    for name in {tool.name for tool in tools.all()} - tools_before:
        tools.unregister(name)

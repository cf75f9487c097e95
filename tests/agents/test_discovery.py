import sys
from importlib import metadata

import pytest

from apps.agents import discovery, registry
from apps.integrations import registry as tools

GOOD = """
from orchestra.sdk import Agent, tool

class Hello(Agent):
    name = "plugin_hello"
    def exec(self, task, ctx): return "hello"

@tool
def plugin_tool() -> int: return 1
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)

    yield write
    discovery.failures.clear()


def test_a_module_of_the_setting_is_a_plugin(plugin, settings):
    plugin("good_plugin", GOOD)
    settings.ORCHESTRA_PLUGINS = ["good_plugin"]

    discovery.discover()

    assert registry.get("plugin_hello").kind == "plugin"
    assert tools.get("plugin_tool")
    assert discovery.failures == []


def test_an_entry_point_is_a_plugin(plugin, monkeypatch):
    plugin("entry_plugin", GOOD)
    entry = metadata.EntryPoint("mine", "entry_plugin", discovery.ENTRY_POINT_GROUP)
    monkeypatch.setattr(discovery, "entry_points", lambda group: [entry])

    discovery.discover()

    assert registry.get("plugin_hello")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def broken(", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (GOOD.replace("plugin_hello", "echo"), "DuplicateNameError: Agent 'echo' is defined twice"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_next_one_still_loads(plugin, settings, source, reason):
    plugin("broken_plugin", source)
    plugin("good_plugin", GOOD.replace("plugin_tool", "other_tool"))
    settings.ORCHESTRA_PLUGINS = ["broken_plugin", "good_plugin"]

    discovery.discover()

    assert registry.get("plugin_hello")
    (failure,) = discovery.failures
    assert (failure.plugin, failure.source) == ("broken_plugin", "setting ORCHESTRA_PLUGINS")
    assert failure.reason.startswith(reason)


def test_discovering_again_is_no_error(plugin, settings):
    plugin("good_plugin", GOOD)
    settings.ORCHESTRA_PLUGINS = ["good_plugin", "good_plugin"]

    discovery.discover()
    discovery.discover()

    assert discovery.failures == []

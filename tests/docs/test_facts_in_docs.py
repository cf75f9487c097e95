"""What the documents list is what there is: nothing named that does not exist, nothing that exists left out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve

from apps.accounts.access import RATE_LIMITS
from apps.accounts.models import Role
from apps.agents import registry as agents
from apps.agents.sdk import Agent
from apps.common.commands import Exit
from apps.integrations import registry as tools
from apps.workflows.engine import cel_values, compiler, expressions, spec, templates
from apps.workflows.engine.cel_functions import FUNCTIONS
from apps.workflows.engine.states import NodeStatus, RunStatus
from apps.workflows.services.transition.limits import Limits
from orchestra.programs import worker
from orchestra.up import add_options
from tests.docs.blocks import DOCUMENTS, ROOT

FORMAT, API, OPERATIONS = (ROOT / "docs" / name for name in ("format.md", "api.md", "operations.md"))
ENGINE_CODE = [
    *(ROOT / "apps" / "workflows" / "services").rglob("*.py"),
    *(ROOT / "apps" / "workflows").glob("nodes/*.py"),
]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:apps|orchestra|bin|docs|tests|templates|\.ci)/[\w./-]*|\.\w+\.\w+|\.importlinter)`")
_ADDRESS = re.compile(r"(?:GET|POST|DELETE|`)\s?(/(?:v1/|health|ready|admin/)[\w/{}.-]*)")
_COMMAND = re.compile(r"bin/manage ([a-z]+)(?: ([a-z]+))?")


def text_of(*paths: Path) -> str:
    return "\n".join(path.read_text() for path in paths)


def anchors(path: Path) -> set[str]:
    """What a link into a document may name: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing(names: Iterator[str] | list[str] | set[str], text: str) -> list[str]:
    return sorted({name for name in names if name not in text})


# ---- nothing named that does not exist ------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in _LINK.findall(path.read_text()):
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_is_named_exists(path: Path) -> None:
    named = _PATH.findall(path.read_text())

    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_address_that_is_named_answers(path: Path) -> None:
    for address in _ADDRESS.findall(path.read_text()):
        concrete = re.sub(r"\{\w+\}", "1", address.rstrip("."))
        try:
            resolve(concrete)
        except Resolver404:
            assert concrete.endswith("/ws"), address  # a WebSocket is no view


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_is_named_exists(path: Path) -> None:
    for name, following in _COMMAND.findall(path.read_text()):
        command = load_command_class(get_commands()[name], name)
        known = command._subcommands() if hasattr(command, "_subcommands") else {}
        assert not known or following in known, f"{name} {following}"


# ---- nothing that exists left out -----------------------------------------------------------------


def test_every_setting_is_in_the_table_and_in_the_example() -> None:
    tree = ast.parse((ROOT / "orchestra" / "settings.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    read = [call for call in calls if re.fullmatch(r"env\.\w+", ast.unparse(call.func))]
    names = [ast.literal_eval(call.args[0]) for call in read]

    assert len(names) > 20
    assert missing([f"| `{name}` |" for name in names], text_of(OPERATIONS)) == []
    assert missing([f"# {name}=" for name in names], (ROOT / ".env.example").read_text()) == []


def test_every_option_of_up_is_in_the_table() -> None:
    options: list[str] = []

    class Parser:
        def add_argument(self, name: str, **_: object) -> None:
            options.append(name)

    add_options(Parser())  # type: ignore[arg-type]

    assert missing(options, text_of(OPERATIONS)) == []


def test_the_worker_is_started_as_up_does_it() -> None:
    argv = worker(1, {}).argv

    assert " ".join(argv[argv.index("-m") : -1]) == "-m orchestra.worker"
    assert "python -m orchestra.worker\n" in text_of(OPERATIONS)


def test_the_map_has_every_app_and_every_directory_of_tests() -> None:
    apps = [path.parent.name for path in (ROOT / "apps").glob("*/__init__.py")]
    tests = [path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")]

    assert missing([f"  {name}/" for name in apps], text_of(ROOT / "CONTRIBUTING.md")) == []
    assert missing([f"`tests/{name}/`" for name in tests], text_of(ROOT / "CONTRIBUTING.md")) == []


def test_every_exit_code_is_in_the_table() -> None:
    assert missing([f"| {code.value} |" for code in Exit], text_of(OPERATIONS)) == []


def test_every_node_type_has_a_section_that_names_its_fields() -> None:
    text = text_of(FORMAT)
    sections = {part.split("\n", 1)[0].strip(): part for part in text.split("\n### ")}

    for name, model in spec.node_types().items():
        own = model.model_fields.keys() - spec.Node.model_fields.keys()
        fields = [f"`{model.model_fields[field].alias or field}`" for field in own]
        assert missing(fields, sections[name]) == [], name


@pytest.mark.parametrize("model", [spec.Node, spec.Retry, spec.Edge, spec.ContextKey, spec.Header])
def test_every_field_of_the_format_is_named(model: type[spec.Part]) -> None:
    names = [f"`{field.alias or name}`" for name, field in model.model_fields.items() if name != "description"]

    assert missing(names, text_of(FORMAT)) == []


def test_every_function_of_expressions_is_named() -> None:
    text = text_of(FORMAT)

    assert [name for name in FUNCTIONS if f"`{name}(" not in text and f".{name}(" not in text] == []


def test_every_limit_is_named_with_its_figure() -> None:
    limits = Limits()
    figures = [
        *(spec.MAX_NODES, spec.MAX_EDGES, expressions.MAX_LENGTH, expressions.MAX_LOOP_LIST),
        *(compiler.MAX_EXPRESSIONS, compiler.MAX_CHARACTERS, limits.visits, limits.items),
    ]
    megabytes = [expressions.MAX_SEEN, cel_values.MAX_MADE, templates.MAX_RENDERED]

    assert missing([f"{figure:,}" for figure in figures], text_of(FORMAT)) == []
    assert missing([f"{size // 1_000_000} MB" for size in megabytes], text_of(FORMAT)) == []
    assert f"{limits.nesting} runs deep" in text_of(FORMAT)


def test_every_code_of_a_node_error_is_named() -> None:
    found = re.findall(r'NodeError\(\s*"(\w+)"|Error: "(\w+)"|code="(\w+)"', text_of(*ENGINE_CODE))
    codes = {code for group in found for code in group if code}
    # What refuses a request, and is no end of a node.
    codes -= {code for code in codes if f'code="{code}"' in text_of(*_refusals())}

    assert {"timeout", "loop_limit", "worker_lost"} <= codes
    assert missing({f"`{code}`" for code in codes}, text_of(FORMAT)) == []


def _refusals() -> list[Path]:
    services = ROOT / "apps" / "workflows" / "services"
    names = (
        "runs",
        "forks",
        "approvals",
        "signals",
        "definitions",
        "versions",
        "inputs",
        "gallery",
        "pins",
        "context_keys",
        "unknown_effects",
        "queue_limit",
        "schedules",
        "firing",
        "drafts",
        "saved_views",
        "budget_pauses",
        "told",
    )
    return [services / f"{name}.py" for name in names]


def test_every_event_and_every_status_is_named() -> None:
    events = set(re.findall(r'(?:tell|EventRow|Told)\(\s*"([a-z.]+)"', text_of(*ENGINE_CODE)))

    assert {"run.completed", "edge.taken"} <= events
    assert missing({f"`{event}`" for event in events}, text_of(API)) == []
    assert missing([f"`{status}`" for status in (*RunStatus, *NodeStatus)], text_of(API)) == []


def test_no_event_is_named_that_never_happens() -> None:
    named = set(
        re.findall(r"`((?:run|node|edge|context)\.[a-z]+)`", text_of(API).split("| event |")[1].split("\n## ")[0])
    )
    events = set(re.findall(r'(?:tell|EventRow|Told)\(\s*"([a-z.]+)"', text_of(*ENGINE_CODE)))

    assert named - events == set()


def test_every_role_and_every_rate_limit_is_named() -> None:
    shown = [f"{int(RATE_LIMITS[group].split('/')[0]):,}" for group in ("read", "write", "run")]

    assert missing([f"`{role}`" for role in Role.values], text_of(API)) == []
    assert missing(shown, text_of(API)) == []


def test_every_built_in_agent_and_tool_is_named() -> None:
    builtin = [f"`{agent.name}`" for agent in agents.all() if agent.kind == "builtin" and _is_ours(agent.agent)]

    assert missing(builtin, text_of(ROOT / "docs" / "agents.md")) == []
    assert (
        missing(
            [f"`{tool.name}`" for tool in tools.all() if tool.origin.startswith("apps.")],
            text_of(ROOT / "docs" / "tools.md"),
        )
        == []
    )


def _is_ours(agent: type[Agent]) -> bool:
    return agent.__module__.startswith("apps.")

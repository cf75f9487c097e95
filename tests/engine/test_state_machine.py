"""Workflows written as state machines."""

from typing import Any

import pytest

from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.dialects import load
from apps.workflows.engine.errors import DefinitionError, Issue
from tests.engine.simulator import Ended, simulate
from tests.engine.test_dialects import payload

CLASSES = {
    "StartNode": None,
    "GetUserDataNode": (),
    "RouteUserByTypeNode": ("EscalateToPremiumSupportNode", "ProcessStandardUserNode"),
    "EscalateToPremiumSupportNode": None,
    "ProcessStandardUserNode": None,
    "SendWelcomeEmailNode": None,
    "EndNode": None,
}


def machine(nodes: dict[str, str], start_at: str = "start") -> dict[str, Any]:
    """A state machine from "Class" or "Class next_node" for each node."""
    bodies = {}
    for name, text in nodes.items():
        kind, *following = text.split()
        bodies[name] = {"class": kind, **({"next_node": following[0]} if following else {})}
    return {"name": "test", "start_at": start_at, "nodes": bodies}


def problems(document: Any, classes: Any = None) -> list[Issue]:
    with pytest.raises(DefinitionError) as caught:
        load(document, node_classes=classes)
    return list(caught.value.issues)


def edges(document: Any, classes: Any = None) -> list[tuple[str, str, str | None]]:
    made = load(document, node_classes=classes).definition.document()
    return [(edge["from"], edge["to"], edge.get("route")) for edge in made.get("edges", [])]


def onboard(user_type: str, classes: Any) -> Ended:
    def route(given: dict[str, Any]) -> dict[str, Any]:
        by_class = {"premium": "EscalateToPremiumSupportNode", "standard": "ProcessStandardUserNode"}
        by_id = {"premium": "step_escalate", "standard": "step_standard_process"}
        return {"route": (by_class if classes else by_id)[given["user"]["type"]]}

    agents: dict[str, Any] = dict.fromkeys(CLASSES, lambda _: {})
    agents["GetUserDataNode"] = lambda given: {"user": {"type": given["user_type"]}}
    agents["RouteUserByTypeNode"] = route
    agents["SendWelcomeEmailNode"] = lambda given: {"mailed": given["user"]["type"]}
    compiled = compile_definition(load(payload("onboarding"), node_classes=classes).definition)
    return simulate(compiled, inputs={"user_type": user_type}, agents=agents)


@pytest.mark.parametrize("classes", [CLASSES, None])
@pytest.mark.parametrize(("user_type", "way"), [("premium", "step_escalate"), ("standard", "step_standard_process")])
def test_the_onboarding_takes_each_of_its_two_ways(user_type: str, way: str, classes: Any) -> None:
    ended = onboard(user_type, classes)

    assert ended.started == ["step_start", "step_get_user", "step_route_user", way, "step_send_email", "step_end"]
    assert ended.context["shared"]["mailed"] == user_type


def test_all_nodes_share_a_context_beside_the_input() -> None:
    definition = load(machine({"start": "A end", "end": "EndNode"})).definition

    document = definition.document()

    assert document["context"] == {"shared": {"reducer": "merge", "initial": {}}}
    assert document["nodes"]["start"] == {
        "type": "agent",
        "agent": "A",
        "input": "{{ merge(inputs, context.shared) }}",
        "save": {"shared": "{{ output }}"},
    }


def test_only_start_at_starts_even_when_something_leads_back_to_it() -> None:
    document = machine({"other": "Router", "start": "A other", "end": "EndNode"})

    compiled = compile_definition(
        load(document, node_classes={"Router": ("A", "EndNode"), "A": None, "EndNode": None}).definition
    )

    assert [compiled.graph.nodes[place] for place in compiled.graph.entries] == ["start"]


def test_declared_targets_are_the_routes_by_class_or_by_id() -> None:
    classes = {"Router": ("EndNode", "by_id", "NotHere"), "B": None, "EndNode": None}

    assert edges(machine({"start": "Router", "by_id": "B end", "end": "EndNode"}), classes) == [
        ("start", "end", "EndNode"),
        ("start", "by_id", "by_id"),
        ("by_id", "end", None),
    ]


def test_without_declared_targets_a_node_may_go_to_any_that_nothing_else_leads_to() -> None:
    document = machine({"start": "R", "a": "A end", "b": "B end", "end": "EndNode"})

    assert edges(document) == [("start", "a", "a"), ("start", "b", "b"), ("a", "end", None), ("b", "end", None)]


def test_what_another_node_declares_as_its_target_is_led_to() -> None:
    document = machine({"start": "Declares", "x": "Free", "y": "EndNode", "z": "EndNode"})

    assert edges(document, {"Declares": ("x",), "Free": None, "EndNode": None}) == [
        ("start", "x", "x"),
        ("x", "y", "y"),
        ("x", "z", "z"),
    ]


def test_a_node_with_nowhere_to_go_ends_its_path() -> None:
    assert edges(machine({"start": "A"})) == []


def test_the_end_node_ends_its_path() -> None:
    document = machine({"start": "R", "end": "EndNode", "a": "A end"})

    assert all(source != "end" for source, _, _ in edges(document))


def test_of_several_nodes_of_a_target_class_the_one_nothing_else_leads_to_is_meant() -> None:
    document = machine({"start": "R", "x": "A y", "y": "A end", "end": "EndNode"})
    classes = {"R": ("A",), "A": None, "EndNode": None}

    assert edges(document, classes)[0] == ("start", "x", "A")


@pytest.mark.parametrize(
    ("document", "pointer", "code", "fix"),
    [
        (machine({"a": "A"}, start_at="b"), "/start_at", "unknown_node", None),
        (
            machine({"start": "A edn", "end": "EndNode"}),
            "/nodes/start/next_node",
            "unknown_node",
            "Did you mean 'end'?",
        ),
        (machine({"start": "A end", "end": "EndNode", "lost": "A end"}), "/nodes/lost", "unreachable", None),
        (machine({"start": "EndNode a", "a": "A"}), "/nodes/start/next_node", "end_leads_on", None),
    ],
)
def test_a_machine_that_cannot_run_is_an_issue(document: Any, pointer: str, code: str, fix: str | None) -> None:
    issue = next(issue for issue in problems(document) if issue.pointer == pointer)

    assert issue.code == code
    assert fix is None or issue.fix == fix


def test_an_unknown_class_is_answered_with_the_nearest() -> None:
    (issue,) = problems(machine({"start": "StartNod end", "end": "EndNode"}), CLASSES)

    assert (issue.pointer, issue.code, issue.fix) == (
        "/nodes/start/class",
        "unknown_class",
        "Did you mean 'StartNode'?",
    )


@pytest.mark.parametrize(
    ("nodes", "code"),
    [
        ({"start": "R", "a": "B"}, "no_target"),
        ({"start": "R", "x": "A", "y": "A"}, "ambiguous_target"),
    ],
)
def test_a_target_that_is_nowhere_or_in_two_places_is_an_issue(nodes: dict[str, str], code: str) -> None:
    (issue,) = problems(machine(nodes), {"R": ("A",), "A": ("x",), "B": None})

    assert (issue.pointer, issue.code) == ("/nodes/start", code)

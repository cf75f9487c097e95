"""The steps of `degrade`: how they are written, what is wrong with them, and in which order they are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.degrading import NOT_FOR_OTHERS, following, kind_of, name_of, oldest
from apps.workflows.engine.errors import DefinitionError, Issue
from apps.workflows.engine.spec import AgentNode, definition_schema, parse_definition
from tests.engine.documents import workflow

EVERY = ["other_agent", {"agent": "echo"}, {"model": "small"}, {"cached": "1d"}, "cached", "person"]


def asked(*steps, **fields):
    return workflow({"ask": {"type": "agent", "agent": "writer", "degrade": list(steps), **fields}})


def faults(document) -> list[Issue]:
    with pytest.raises(DefinitionError) as refused:
        compile_definition(parse_definition(document))
    return list(refused.value.issues)


def test_every_step_is_read_and_written_back_as_it_was():
    definition = parse_definition(asked(*EVERY))

    node = definition.nodes["ask"]

    assert definition.document()["nodes"]["ask"]["degrade"] == EVERY
    assert isinstance(node, AgentNode)
    assert [(kind_of(step), name_of(step), oldest(step)) for step in node.degrade or ()] == [
        ("other_agent", "", None),
        ("agent", "echo", None),
        ("model", "small", None),
        ("cached", "", 86_400.0),
        ("cached", "", None),
        ("person", "", None),
    ]


@pytest.mark.parametrize(
    ("step", "place", "told"),
    [
        ("cachd", "", "A step is 'other_agent', 'cached', 'person', or an object such as {model: small}."),
        (7, "", "A step is 'other_agent', 'cached', 'person', or an object such as {model: small}."),
        ({"modle": "small"}, "/modle", "There is no field 'modle' here."),
        ({}, "", "Name exactly one of 'agent', 'model', 'cached' and 'person' in a step; write two steps."),
        ({"model": "a", "agent": "b"}, "", "Name exactly one of"),
        ({"model": ""}, "/model", "at least 1 character"),
        ({"cached": "soon"}, "/cached", "'soon' is not a duration; write for example 30s"),
        ({"person": {"form": 3}}, "/person/form", "valid dictionary"),
        ({"person": {"form": {"type": "nothing"}}}, "/person/form", "This is not a JSON Schema"),
        ({"agent": "writer"}, "", "'agent writer' has been tried before this step, and is not tried again."),
    ],
    ids=str,
)
def test_a_wrong_step_is_told_with_its_place(step, place, told):
    (issue,) = faults(asked(step))

    assert issue.pointer == f"/nodes/ask/degrade/0{place}"
    assert told in issue.message


def test_what_is_tried_twice_is_told_with_the_way_out():
    (issue,) = faults(asked("cached", {"model": "small"}, {"model": "large"}, {"model": "small"}))

    assert (issue.pointer, issue.code, issue.fix) == (
        "/nodes/ask/degrade/3",
        "step_repeated",
        "Take one of the two out.",
    )


def test_there_is_at_least_one_step_and_only_agents_have_any():
    assert [issue.pointer for issue in faults(asked())] == ["/nodes/ask/degrade"]

    (issue,) = faults(workflow({"wait": {"type": "wait", "seconds": 1, "degrade": ["person"]}}))

    assert (issue.pointer, issue.code) == ("/nodes/wait/degrade", "unknown_field")


def test_the_inner_node_of_a_map_is_checked_too():
    inner = {"type": "agent", "agent": "writer", "degrade": ["cached", "cached"]}

    (issue,) = faults(workflow({"all": {"type": "map", "over": [1], "node": inner}}))

    assert issue.pointer == "/nodes/all/node/degrade/1"


def test_the_schema_of_the_format_has_the_steps():
    steps = definition_schema()["$defs"]["AgentNode"]["properties"]["degrade"]["anyOf"][0]

    assert steps["items"]["oneOf"][0]["enum"] == ["other_agent", "cached", "person"]
    assert set(definition_schema()["$defs"]["NamedStep"]["properties"]) == {"agent", "model", "cached", "person"}


@given(
    st.integers(0, 10), st.lists(st.sampled_from(["error", "timeout", "circuit_open", "no_live_agent"]), max_size=15)
)
def test_each_step_is_taken_once_and_in_the_order_they_are_written_in(steps, codes):
    taken, stage = [], None
    for code in codes:
        stage = following(stage, steps, code=code)
        if stage is None:
            break
        taken.append(stage)

    assert taken == list(range(min(steps, len(codes))))


@given(st.one_of(st.none(), st.integers(0, 9)), st.integers(0, 10), st.sampled_from(sorted(NOT_FOR_OTHERS)))
def test_what_nobody_else_may_answer_takes_no_step(stage, steps, code):
    assert following(stage, steps, code=code) is None


def test_an_input_that_the_own_agent_does_not_take_is_a_fault_of_the_workflow():
    assert following(None, 3, code="invalid_input") is None
    assert following(0, 3, code="invalid_input") == 1, "another agent may not take what this one takes"

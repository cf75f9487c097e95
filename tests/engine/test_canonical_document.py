"""Definitions written back."""

from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

from apps.common import yaml
from apps.workflows.engine.spec import parse_definition
from tests.engine.documents import workflow

EXAMPLE = """
name: content-analysis
description: Sentiment first, then a summary of what is positive.
inputs:
  type: object
  required: [input_text]
  properties:
    input_text: {type: string, minLength: 1}
context:
  findings: {reducer: append, initial: []}
nodes:
  sentiment:
    type: agent
    agent: text_processor
    input: {task_type: sentiment_analysis, text: "{{ inputs.input_text }}"}
    save: {content_sentiment: "{{ output.sentiment }}"}
    retry: {attempts: 3, delay: 1s, backoff: 2, max_delay: 30s, jitter: true}
    timeout: 30s
  apologise:
    type: set
    values: {note: "nothing positive to say"}
  each:
    type: map
    over: [1, 2]
    as: part
    node: {type: set, values: {x: "{{ part }}"}}
    needs: [sentiment]
    when: output.sentiment == "positive"
  pause: {type: wait, seconds: 5, needs: each}
edges:
  - {from: sentiment, to: apologise, when: 'output.sentiment != "positive"'}
  - {from: apologise, to: apologise, max: 2, on: always}
outputs:
  summary: "{{ nodes.each.output }}"
"""


def example() -> Any:
    return yaml.loads(EXAMPLE)


def test_a_document_is_written_back_as_it_came() -> None:
    assert parse_definition(example()).document() == example()


def test_writing_and_reading_again_changes_nothing() -> None:
    once = parse_definition(example()).document()

    again = parse_definition(yaml.loads(yaml.dumps(once))).document()

    assert yaml.dumps(again) == yaml.dumps(once)


def test_nothing_is_added_that_was_not_written() -> None:
    document = workflow({"a": {}})

    assert parse_definition(document).document() == document


def test_the_order_of_fields_is_the_formats_and_the_order_of_nodes_the_authors() -> None:
    shuffled = {"nodes": {"b": {"save": {"k": 1}, "values": {}, "type": "set"}, "a": {"type": "set"}}, "name": "x"}

    written = parse_definition(shuffled).document()

    assert list(written) == ["name", "nodes"]
    assert list(written["nodes"]) == ["b", "a"]
    assert list(written["nodes"]["b"]) == ["type", "values", "save"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("nodes", "sentiment", "retry", "attempts"), 5),
        (("nodes", "sentiment", "timeout"), "45s"),
        (("nodes", "pause", "seconds"), 6),
        (("nodes", "sentiment", "input", "task_type"), "other"),
        (("description",), "Another sentence."),
        (("inputs", "properties", "input_text", "minLength"), 2),
    ],
)
def test_an_edit_of_one_parameter_is_a_diff_of_one_line(place: tuple[str, ...], value: Any) -> None:
    before, edited = example(), example()
    owner = edited
    for name in place[:-1]:
        owner = owner[name]
    owner[place[-1]] = value

    old, new = (yaml.dumps(parse_definition(document).document()).splitlines() for document in (before, edited))
    changes = [line for line in unified_diff(old, new, n=0) if line[0] in "+-" and line[:3] not in ("+++", "---")]

    assert len(changes) == 2


def test_every_conformance_definition_reads_back_the_same() -> None:
    cases: Any = yaml.loads((Path(__file__).parents[1] / "conformance" / "graph_cases.yaml").read_bytes())

    for case in cases:
        document = parse_definition(case["definition"]).document()
        assert document == case["definition"]
        assert yaml.loads(yaml.dumps(document)) == document

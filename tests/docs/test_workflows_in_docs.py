"""Every workflow in the documents is accepted, and comes to what the comments below it say."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from apps.accounts.models import Organization
from apps.common import yaml
from apps.workflows.models import Run
from tests.docs.blocks import Block, blocks
from tests.docs.examples import examples_of
from tests.workflows.engine_room import EngineRoom

EXAMPLES = [block for block in blocks("yaml") if block.remark != "no workflow"]
SAID = re.compile(r"# (input|output|context|visits|fails|decide|signal): (.*)")

Case = dict[str, Any]


def needs_commits(block: Block) -> bool:
    """A child run reports to its parent after a commit, and an async step is recorded on another connection."""
    return "type: workflow" in block.text or "agent: assistant" in block.text


COMMITTED = [block for block in EXAMPLES if needs_commits(block)]
ALONE = [block for block in EXAMPLES if not needs_commits(block)]


@pytest.fixture
def room(organization: Organization, block: Block) -> Iterator[EngineRoom]:
    """The engine, knowing the agents and tools of the block's document."""
    with examples_of(block.path):
        yield EngineRoom(organization)


@pytest.mark.parametrize("block", ALONE, ids=lambda block: block.name)
def test_a_workflow_in_the_documents_comes_to_what_is_said_of_it(block: Block, room: EngineRoom) -> None:
    run_cases(block, room)


@pytest.mark.parametrize("block", COMMITTED, ids=lambda block: block.name)
@pytest.mark.django_db(transaction=True)
def test_so_does_one_that_needs_commits(block: Block, room: EngineRoom) -> None:
    for earlier in ALONE:
        if earlier.path == block.path and "name" in (document := definition_of(earlier)):
            room.save(document)

    run_cases(block, room)


def run_cases(block: Block, room: EngineRoom) -> None:
    definition = definition_of(block)
    for case in cases(block) or [{}]:
        run = room.start(definition, case.get("input"))
        if case:
            check(room, until_ended(room, run, case), case)


def definition_of(block: Block) -> dict[str, Any]:
    """The document; one without a name is an example of something else, and any name does."""
    document = yaml.loads(block.text)
    assert isinstance(document, dict)
    named = "name" in document or "workflow_type" in document or "type" in document
    return document if named else {"name": "example", **document}


def cases(block: Block) -> list[Case]:
    """What the comments say: an `# input` begins a case, everything behind it is about that one."""
    found: list[Case] = []
    for word, text in said(block):
        if word == "input" or not found:
            found.append({})
        found[-1][word] = yaml.loads(text)
    return found


def said(block: Block) -> Iterator[tuple[str, str]]:
    for line in block.lines:
        if match := SAID.fullmatch(line):
            yield match[1], match[2]


def until_ended(room: EngineRoom, run: Any, case: Case) -> Run:
    if "signal" in case:
        room.signal(run, case["signal"]["event"], case["signal"]["payload"])
    decisions = case.get("decide", [])
    for decision in decisions if isinstance(decisions, list) else [decisions]:
        room.work()
        room.decide(run, **decision)
    return room.until_ended(run)


def check(room: EngineRoom, run: Run, case: Case) -> None:
    if "fails" in case:
        assert room.error(run.pk)["code"] == case["fails"]
        return
    assert run.status == "completed", run.error
    if "output" in case:
        assert room.output(run) == case["output"]
    if "context" in case:
        assert room.context(run.pk) == case["context"]
    if "visits" in case:
        assert room.visits(run.pk) == case["visits"]

"""Every pair of statuses: which may follow which."""

from itertools import product

import pytest

from apps.workflows.engine.states import (
    CLAIMABLE,
    NODE_ENDED,
    RUN_ENDED,
    NodeStatus,
    RunStatus,
    node_may_become,
    run_may_become,
)

RUN_MAY = """
    pending: running waiting paused completed failed cancelled
    running: waiting paused completed failed cancelled
    waiting: running paused completed failed cancelled
    paused: pending running waiting completed failed cancelled
    completed:
    failed: running
    cancelled: running
"""
NODE_MAY = """
    queued: running waiting retrying completed failed cancelled
    running: completed failed cancelled waiting retrying queued
    waiting: queued retrying completed failed cancelled
    retrying: running waiting completed failed cancelled
    completed:
    failed: queued running
    cancelled: queued running
    skipped:
"""


def read(table: str) -> dict[str, list[str]]:
    rows = (line.split(":") for line in table.strip().splitlines())
    return {status.strip(): following.split() for status, following in rows}


@pytest.mark.parametrize(("current", "following"), list(product(RunStatus, repeat=2)))
def test_a_run_changes_as_the_table_says(current: RunStatus, following: RunStatus) -> None:
    assert run_may_become(current, following) == (following in read(RUN_MAY)[current])


@pytest.mark.parametrize(("current", "following"), list(product(NodeStatus, repeat=2)))
def test_a_node_run_changes_as_the_table_says(current: NodeStatus, following: NodeStatus) -> None:
    assert node_may_become(current, following) == (following in read(NODE_MAY)[current])


@pytest.mark.parametrize("status", sorted(RUN_ENDED))
def test_nothing_follows_the_end_of_a_run_but_sending_on_one_that_did_not_complete(status: RunStatus) -> None:
    following = {after for after in RunStatus if run_may_become(status, after)}

    assert following == (set() if status is RunStatus.COMPLETED else {RunStatus.RUNNING})


def test_an_ended_node_run_can_only_be_sent_on_to_be_executed_again() -> None:
    following = {after for ended in NODE_ENDED for after in NodeStatus if node_may_become(ended, after)}

    assert following == {NodeStatus.QUEUED, NodeStatus.RUNNING}


@pytest.mark.parametrize("status", sorted(CLAIMABLE))
def test_what_can_be_claimed_may_run(status: NodeStatus) -> None:
    assert node_may_become(status, NodeStatus.RUNNING)

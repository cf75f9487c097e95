"""Runs that ended long ago leave with everything that belongs to them.

A run leaves with the runs that it started, never before its parent. One stays while a run of its tree goes on, or
has an effect that nobody has decided on: what happened outside is not forgotten before somebody knows it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from apps.workflows.store import retention
from apps.workflows.store.database import patiently, transaction
from apps.workflows.store.recovery import NOBODY
from apps.workflows.store.retention import Tree

BATCH = 1000  # events of the runs that leave in one transaction; a run of more is one by itself
LOOK = 200
REST = 1.0  # between two batches, in parts of what the last one took: others come first


@dataclass
class Forgotten:
    """How many runs left, or would leave, and how many stay although they are old enough."""

    runs: int = 0
    kept: int = 0


def forget_old_runs(age: timedelta, *, go_on: Callable[[], bool] = lambda: True, dry_run: bool = False) -> Forgotten:
    """Deletes the runs that ended longer ago than `age`, in short transactions, for as long as `go_on` says."""
    done = Forgotten()
    for trees in _looks(age):
        done.kept += sum(tree.kept for tree in trees)
        for batch in _batches([tree for tree in trees if not tree.kept]):
            if not go_on():
                return done
            done.runs += _count(batch) if dry_run else _forget(batch)
    return done


def _looks(age: timedelta) -> Iterator[list[Tree]]:
    before, after = _now() - age, NOBODY
    while trees := _look(before, after):
        yield trees
        after = trees[-1].root


def _now() -> datetime:
    with transaction() as tx:
        now: datetime = tx.value("select clock_timestamp()")
        return now


def _look(before: datetime, after: UUID) -> list[Tree]:
    with transaction() as tx:
        return retention.trees(tx, before, after=after, limit=LOOK)


def _batches(trees: list[Tree]) -> Iterator[list[Tree]]:
    """As many trees together as have BATCH events, and at least one."""
    batch: list[Tree] = []
    for tree in trees:
        if batch and sum(one.events for one in batch) + tree.events > BATCH:
            yield batch
            batch = []
        batch.append(tree)
    if batch:
        yield batch


def _count(batch: list[Tree]) -> int:
    return sum(len(tree.runs) for tree in batch)


def _forget(batch: list[Tree]) -> int:
    began = time.monotonic()

    def delete() -> int:
        with transaction() as tx:
            held = retention.hold(tx, [run for tree in batch for run in tree.runs])
            whole = [tree for tree in batch if held.issuperset(tree.runs)]
            retention.delete(tx, [run for tree in whole for run in tree.runs])
            return _count(whole)

    deleted = patiently(delete)
    time.sleep(REST * (time.monotonic() - began))
    return deleted

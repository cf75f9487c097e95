"""Whether taking the next node gets slower when very many wait."""

import json
import time
from collections.abc import Iterator

from apps.workflows.nodes.registry import served
from apps.workflows.services import attempts
from apps.workflows.services.leases import Leases
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import transaction
from benchmarks.copies import copy_runs, count_as_copy, remove_copies
from benchmarks.measuring import quantile
from benchmarks.ours import Ours, chain_of
from benchmarks.report import Row
from benchmarks.sizes import Sizes

P99_TO_REACH, TO_REACH_AT = 10, 100_000  # milliseconds, queued rows


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """Finding and claiming the next node, as a worker that polls does it; nothing is executed."""
    ours.house.stop_workers()
    few, many = (_claims(ours, rows, sizes.claims) for rows in (sizes.claims, sizes.queued))
    ours.house.start_workers(1)
    ours.wait_until_idle()
    for share in (0.5, 0.99):
        to_reach = P99_TO_REACH if share > 0.5 and sizes.queued >= TO_REACH_AT else None  # noqa: PLR2004
        what = f"claim, {sizes.queued:,} rows queued: p{share * 100:.0f}"
        yield Row(what, quantile(many, share), "ms", to_reach, {f"{sizes.claims} rows queued": quantile(few, share)})


def _claims(ours: Ours, rows: int, count: int) -> list[float]:
    """Milliseconds of each claim."""
    run = ours.start(ours.saved("backlog", json.dumps(chain_of(1))))
    copy_runs(run, rows)
    count_as_copy(run)  # nobody executes what is claimed here
    leases, times = Leases(), []
    try:
        for _ in range(count):
            began = time.perf_counter()
            with transaction() as tx:
                (node_run,) = questions.claimable(tx, served(), limit=1)
            if attempts.take(node_run, leases) is None:
                raise RuntimeError("A queued node could not be claimed.")
            times.append((time.perf_counter() - began) * 1000)
    finally:
        remove_copies()
    return times

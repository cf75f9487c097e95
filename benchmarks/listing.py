"""How soon the list of runs is there when there are very many."""

import json
from collections.abc import Iterator

from benchmarks.copies import copy_runs, remove_copies
from benchmarks.measuring import quantile, timed_requests
from benchmarks.ours import Ours, chain_of
from benchmarks.report import Row
from benchmarks.sizes import Sizes

P95_TO_REACH, TO_REACH_AT = 100, 100_000  # milliseconds, runs
LISTS = {
    "all": "/v1/runs?limit=50",
    "of one status": "/v1/runs?limit=50&status=failed",
    "of one workflow": "/v1/runs?limit=50&workflow=listing",
}


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """The first page over HTTP, of all runs and of some of them."""
    run = ours.start(ours.saved("listing", json.dumps(chain_of(1))))
    ours.wait_until_idle()
    few = {name: _p95(ours, path, sizes.lists) for name, path in LISTS.items()}
    copy_runs(run, sizes.listed)
    try:
        for name, path in LISTS.items():
            what = f"list of runs, {name}, {sizes.listed:,} runs: p95"
            to_reach = P95_TO_REACH if sizes.listed >= TO_REACH_AT else None
            yield Row(what, _p95(ours, path, sizes.lists), "ms", to_reach, {"with few runs": few[name]})
    finally:
        remove_copies()


def _p95(ours: Ours, path: str, requests: int) -> float:
    return quantile(timed_requests(lambda: ours.client.send("GET", path), requests), 0.95)

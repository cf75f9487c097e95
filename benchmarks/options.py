"""What the command line asks for: of `python -m benchmarks` and of `manage.py bench`."""

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.sizes import FULL, QUICK, SMALLEST

WORKLOADS = (
    *(
        "chain",
        "fanout",
        "throughput",
        "footprint",
        "crash",
        "marking",
        "growth",
        "scale",
        "latency",
        "streams",
        "models",
        "pages",
        "builder",
    ),
    *("backlog", "listing"),  # leave the database larger, and so come last
)
PEERS = ("dbos", "langgraph", "prefect")
RESULTS = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    parser.add_argument("workloads", nargs="*", metavar="workload", help=f"some of: {', '.join(WORKLOADS)} (all)")
    parser.add_argument(
        "--quick", dest="sizes", action="store_const", const=QUICK, default=FULL, help="a minute or two"
    )
    parser.add_argument("--smallest", dest="sizes", action="store_const", const=SMALLEST, help="only to see it work")
    parser.add_argument("--workers", type=int, default=1, help="worker processes (1)")
    parser.add_argument("--slots", type=int, default=200, help="nodes at a time in one worker (200: D waits in all)")
    parser.add_argument("--rows", type=int, help=f"runs that there are in the workload listing ({FULL.listed:,})")


def chosen(parser: argparse.ArgumentParser, options: Mapping[str, Any]) -> dict[str, Any]:
    """What `session.Order` takes of it; ends with a message where a workload is unknown."""
    if unknown := [name for name in options["workloads"] if name not in WORKLOADS]:
        parser.error(f"there is no workload {unknown[0]!r}; choose from {', '.join(WORKLOADS)}")
    sizes = options["sizes"]
    return {
        "workloads": options["workloads"] or WORKLOADS,
        "sizes": dataclasses.replace(sizes, listed=options["rows"] or sizes.listed),
        "slots": options["slots"],
        "workers": options["workers"],
    }


def write_results(text: str) -> None:
    """Keep the tables where people read them."""
    page = RESULTS.read_text()
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise RuntimeError(f"{RESULTS} has no place for results: {BEGIN.strip()} ... {END}")
    RESULTS.write_text(f"{before}{BEGIN}\n{text}\n\n{END}{after}")

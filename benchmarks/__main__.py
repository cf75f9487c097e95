"""`python -m benchmarks [chain] [fanout] [throughput] [latency]`: measure and print a table."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from benchmarks.sizes import FULL, QUICK, SMALLEST

WORKLOADS = ("chain", "fanout", "throughput", "latency")
RESULTS = Path(__file__).with_name("results.md")


def options(arguments: list[str]) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="workload", help=f"some of: {', '.join(WORKLOADS)} (all)")
    parser.add_argument("--quick", dest="sizes", action="store_const", const=QUICK, default=FULL, help="a minute")
    parser.add_argument("--smallest", dest="sizes", action="store_const", const=SMALLEST, help="only to see it work")
    parser.add_argument("--workers", type=int, default=1, help="worker processes (1)")
    parser.add_argument("--slots", type=int, default=200, help="nodes at a time in one worker (200: D waits in all)")
    parser.add_argument("--alone", action="store_true", help="leave the contenders out")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULTS.name}")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.workloads if name not in WORKLOADS]:
        parser.error(f"there is no workload {unknown[0]!r}; choose from {', '.join(WORKLOADS)}")
    return chosen


def main() -> int:
    """Measure, and print."""
    chosen = options(sys.argv[1:])
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    from orchestra.up import with_django  # noqa: PLC0415 - its settings read the environment

    with_django()
    from benchmarks.session import measured  # noqa: PLC0415 - it needs Django

    text = measured(
        chosen.workloads or WORKLOADS,
        chosen.sizes,
        slots=chosen.slots,
        workers=chosen.workers,
        alone=chosen.alone,
        command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
    )
    print(text)
    if chosen.write:
        RESULTS.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

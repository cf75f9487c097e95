"""`python -m tests.screenshots [name ...]`: makes the pictures of the documents again, all of them or those named.

It starts an Orchestra of its own, fills it with the work of a small company, and photographs its pages in Chromium. The
company is the same every time; how long its runs took is not, so a picture changes a little.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from benchmarks.browser import found
from orchestra.settings import BASE_DIR

IMAGES = BASE_DIR / "docs" / "images"
RUNS = 90  # of the days before; more than that says no more


def main(arguments: list[str]) -> int:
    """Gives the exit status."""
    options = _options(arguments)
    if found() is None:
        print("There is no Chromium here: install one (apt-get install chromium).", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves nothing behind either
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    from orchestra.up import with_django  # noqa: PLC0415 - its settings read the environment

    with_django()
    from tests.screenshots.session import NAMES, photograph  # noqa: PLC0415 - it needs Django

    if unknown := sorted(set(options.names) - set(NAMES)):
        print(f"There is no picture {', '.join(unknown)}. There are {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    for path in photograph(options.names, options.to, runs=options.runs):
        print(f"{path}  {path.stat().st_size / 1000:.0f} KB")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these pictures")
    parser.add_argument("--to", type=Path, default=IMAGES, help="where they are put (docs/images)")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how many runs there have been ({RUNS})")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

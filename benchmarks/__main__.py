"""`python -m benchmarks [workload ...]`: measure Orchestra beside others, and print tables."""

import argparse
import os
import shlex
import signal
import sys

from benchmarks.options import PEERS, RESULTS, add_options, chosen, write_results


def main() -> int:
    """Measure, and print; 1 when something of it could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add_options(parser)
    parser.add_argument("--peers", action="store_true", help=f"beside {', '.join(PEERS)} too; installs what they need")
    parser.add_argument("--alone", action="store_true", help="beside nobody")
    parser.add_argument("--write", action="store_true", help=f"keep the tables in {RESULTS.name}")
    options = vars(parser.parse_args())
    asked = chosen(parser, options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves nothing behind either
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    from orchestra.up import with_django  # noqa: PLC0415 - its settings read the environment

    with_django()
    from benchmarks.session import Order, measured  # noqa: PLC0415 - it needs Django

    peers = PEERS if options["peers"] else ()
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    found = measured(Order(**asked, references=not options["alone"], peers=peers, command=command))
    print(found.text)
    if options["write"]:
        write_results(found.text)
    return 1 if found.troubles else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

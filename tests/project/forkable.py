"""A program for the tests of the fork server."""

import os
import sys
import time


def main() -> None:
    """Say what it was given, and stay."""
    given, leads = " ".join(sys.argv[1:]), os.getsid(0) == os.getpid()
    sys.stdout.write(f"arguments {given} session {leads}\n")
    sys.stdout.flush()
    for argument in sys.argv[2:]:
        os.write(int(argument), b"taken over\n")
    time.sleep(60)

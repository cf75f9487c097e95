"""`bin/manage bench`: how fast Orchestra is on this machine."""

import shlex
import sys
from typing import Any

from django.core.management.base import CommandParser

from apps.common.commands import Exit, OrchestraCommand


class Command(OrchestraCommand):
    """Measures an Orchestra of its own, which is gone afterwards."""

    help = "Measures how fast Orchestra is on this machine. Nothing else should run on it."
    parser: CommandParser

    def add_arguments(self, parser: CommandParser) -> None:
        """Those that `python -m benchmarks` has for one alone."""
        from benchmarks.options import add_options

        super().add_arguments(parser)
        add_options(parser)
        self.parser = parser

    def handle(self, *_args: Any, **options: Any) -> None:
        """Measure, and print the tables."""
        from benchmarks.options import chosen
        from benchmarks.session import Order, measured

        asked = chosen(self.parser, options)
        found = measured(Order(**asked, references=False, peers=(), command=shlex.join(["bin/manage", *sys.argv[1:]])))
        self.line(found.text)
        if found.troubles:
            raise SystemExit(Exit.FAILED)

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestra.embedded import EmbeddedError
from orchestra.up import Options, Up, add_options


class Command(BaseCommand):
    help = "Run everything in this terminal: database, web and workers. Ctrl-C stops it and keeps the state."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_options(parser)

    def handle(self, **options: Any) -> None:
        try:
            code = Up(Options.chosen(options)).run()
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
        if code:
            raise CommandError("", returncode=code)

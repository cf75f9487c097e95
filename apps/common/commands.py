"""What every management command shares: subcommands, output for people and for programs, and exit codes.

    class Command(OrchestraCommand):
        help = "Shows runs."

        @subcommand(argument("run"), argument("--events", action="store_true"))
        def show(self, run: str, events: bool) -> None:
            "Shows one run."
            self.show_value(...)

Data goes to stdout, everything else to stderr. `--json` gives one object, or one line for each item of a stream.
"""

import argparse
import difflib
import getpass
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NoReturn, Protocol, TypeVar

import django.db
import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_scopes import scope

from apps.common import json
from apps.common.errors import (
    BadRequest,
    Conflict,
    DomainError,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
)
from apps.common.json import JSON

F = TypeVar("F", bound=Callable[..., Any])


class Exit(IntEnum):
    """How a command ends, for scripts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5  # database, Redis, broker or provider
    TIMEOUT = 6
    PERMISSION = 7
    INTERRUPTED = 130


class HasSlug(Protocol):
    """An organization, as far as commands know it."""

    slug: str


class Organizations(Protocol):
    """Where the organization of a command comes from; accounts registers itself here (see `register`)."""

    def __call__(self, slug: str | None) -> HasSlug:
        """Give the organization with this slug, or without one the first; raises NotFound."""


_organizations: list[Organizations] = []


def register(organizations: Organizations) -> None:
    """Tell commands where organizations come from."""
    _organizations[:] = [organizations]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a subcommand, as `add_argument` takes it."""

    names: tuple[str, ...]
    options: Mapping[str, Any]


def argument(*names: str, **options: Any) -> Argument:
    """Describe an argument of a subcommand."""
    return Argument(names, options)


def actor() -> str:
    """Under which name acts of commands are recorded."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return "cli"


def subcommand(*arguments: Argument, name: str | None = None, organization: bool = True) -> Callable[[F], F]:
    """Make a method a subcommand; its docstring is its help, its parameters are the arguments by name.

    A parameter called `options` takes all arguments, for subcommands that share many.
    Unless `organization` is false it runs within the scope of the organization that `--organization` names.
    """

    def mark(method: F) -> F:
        method.subcommand = (name or method.__name__.strip("_").replace("_", "-"), arguments, organization)  # type: ignore[attr-defined]
        return method

    return mark


class OrchestraCommand(BaseCommand):
    """A command with subcommands; without any, override `handle` as usual."""

    requires_system_checks = ()
    organization: Any = None  # the organization in scope, an accounts.Organization
    json: bool = False
    yes: bool = False

    def __init__(self, *args: Any, **options: Any) -> None:
        """Make a command; the variable NO_COLOR does what --no-color does."""
        super().__init__(*args, **({"no_color": True} if os.environ.get("NO_COLOR") else {}) | options)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Give a parser that knows nearly right names."""
        parser = _Parser(
            prog=f"{os.path.basename(prog_name)} {subcommand}",  # noqa: PTH119 - a command's name
            description=self.help or None,
            called_from_command_line=getattr(self, "_called_from_command_line", None),
            **kwargs,
        )
        _add_hidden_options(parser)
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the subcommands; a command without any has its own arguments here."""
        methods = self._subcommands()
        if not methods:
            _add_common_options(parser)
            return
        choices = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND", parser_class=_Parser)
        for name, method in methods.items():
            text = inspect.getdoc(method) or ""
            inner = choices.add_parser(name, help=text.partition("\n")[0], description=text)
            for one in method.subcommand[1]:
                inner.add_argument(*one.names, **one.options)
            _add_common_options(inner)
            _add_hidden_options(inner, default=argparse.SUPPRESS)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the subcommand that was asked for."""
        method = self._subcommands()[options["subcommand"]]
        self.json, self.yes = options["json"], options["yes"]
        known = {**options, "options": options}
        wanted = {name: known[name] for name in inspect.signature(method).parameters}
        with self.within(options["organization"]) if method.subcommand[2] else nullcontext():
            method(**wanted)

    def within(self, slug: str | None) -> AbstractContextManager[None]:
        """Enter the scope of an organization: the one named, else the first."""
        self.organization = _organizations[0](slug)
        return scope(organization=self.organization)  # type: ignore[no-any-return]

    def run_from_argv(self, argv: list[str]) -> None:
        """Run, and end with the exit code that says how it went."""
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            self.note("Interrupted.")
            _leave(Exit.INTERRUPTED)
        except BrokenPipeError:  # the reader, such as `head`, has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            _leave(Exit.OK)
        except Exception as error:
            code = exit_code(error)
            if code is None or {"--traceback", "--debug"} & set(argv):
                raise
            self._explain(error)
            _leave(code)

    # Output

    def table(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | Mapping[str, str]) -> None:
        """Print rows as a table, or with --json as `{"items": [...]}`; `columns` maps fields to their headings."""
        rows = list(rows)
        if self.json:
            self.print_json({"items": rows})
            return
        headings = columns if isinstance(columns, Mapping) else {name: name.replace("_", " ") for name in columns}
        lines = [[heading.upper() for heading in headings.values()]]
        lines += [[_cell(row.get(name)) for name in headings] for row in rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            self.line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    def show_value(self, value: Mapping[str, Any]) -> None:
        """Print one thing: a field a line, or with --json as an object."""
        if self.json:
            self.print_json(value)
            return
        width = max(map(len, value), default=0)
        for name, field in value.items():
            self.line(f"{name.replace('_', ' ').ljust(width)}  {_cell(field)}")

    def item(self, value: Mapping[str, Any], text: str) -> None:
        """Print one item of a stream: `text`, or with --json the value on a line of its own."""
        if self.json:
            self.line(json.dumps(value).decode())
        else:
            self.line(text)

    def print_json(self, value: JSON) -> None:
        """Print a value as JSON, readable on a terminal."""
        self.line(json.dumps(value, indent=self.stdout.isatty()).decode())

    def line(self, text: str = "") -> None:
        """Print a line of data."""
        self.stdout.write(text)
        self.stdout.flush()

    def note(self, text: str) -> None:
        """Tell the person something that is no data."""
        self.stderr.write(text, self.style.NOTICE if self.stderr.isatty() else str)

    def next_step(self, command: str) -> None:
        """Name the command that is useful next; not for programs."""
        if not self.json:
            self.note(f"next: {command}")

    def confirm(self, what: str) -> None:
        """Say what will happen and ask; without a terminal `--yes` is the only yes."""
        self.note(what)
        if self.yes:
            return
        if not sys.stdin.isatty():
            raise CommandError("Add --yes to do this without being asked.", returncode=Exit.USAGE)
        if input("Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was changed.", returncode=Exit.FAILED)

    def fail(self, text: str, code: Exit = Exit.FAILED) -> NoReturn:
        """End with a sentence and an exit code."""
        raise CommandError(text, returncode=code)

    def _explain(self, error: Exception) -> None:
        detail = error.detail if isinstance(error, DomainError) else str(error).strip().partition("\n")[0]
        self.note(f"Error: {detail}")
        for item in getattr(error, "errors", ()):
            if item.message != detail or item.fix:  # the only fault has often been said already
                self.note(f"  {item.pointer or '/'}: {item.message}{f' {item.fix}' if item.fix else ''}")
        if exit_code(error) == Exit.UNREACHABLE:
            self.note("fix: bin/up starts what is missing; bin/manage doctor says what that is.")

    def _subcommands(self) -> dict[str, Any]:
        methods = (getattr(self, name) for name in dir(type(self)) if hasattr(getattr(type(self), name), "subcommand"))
        return {method.subcommand[0]: method for method in methods}


_CODES: Sequence[tuple[tuple[type[BaseException], ...], Exit]] = (
    ((NotFound,), Exit.NOT_FOUND),
    ((Conflict, PreconditionFailed), Exit.CONFLICT),
    ((PermissionDenied, Unauthenticated), Exit.PERMISSION),
    ((BadRequest,), Exit.USAGE),
    ((Unavailable,), Exit.UNREACHABLE),
    ((DomainError,), Exit.FAILED),
    ((TimeoutError,), Exit.TIMEOUT),
    ((django.db.OperationalError, psycopg.OperationalError), Exit.UNREACHABLE),
)


def exit_code(error: BaseException) -> Exit | None:
    """Give the exit code for what went wrong; None for what nobody foresaw."""
    found = next((code for kinds, code in _CODES if isinstance(error, kinds)), None)
    return Exit.UNREACHABLE if found is None and _says_that_redis_is_silent(error) else found


def _says_that_redis_is_silent(error: BaseException) -> bool:
    """Tell whether this comes from Redis; its client takes long to import, so nobody does who does not use it."""
    exceptions = sys.modules.get("redis.exceptions")
    return exceptions is not None and isinstance(error, exceptions.ConnectionError)


class _Parser(CommandParser):
    """Says what an unknown name was probably meant to be."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            close = difflib.get_close_matches(str(value), known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(known)}"
            raise argparse.ArgumentError(action, f"there is no '{value}'; {hint}")


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--organization", metavar="SLUG", help="the organization; without it the first one")
    parser.add_argument("--yes", action="store_true", help="do not ask before changing or ending something")


def _add_hidden_options(parser: argparse.ArgumentParser, default: Any = None) -> None:
    """Take Django's own options, and do not show them: hardly anybody needs them."""
    hidden = argparse.SUPPRESS
    parser.add_argument("-v", "--verbosity", type=int, default=1 if default is None else default, help=hidden)
    for name in ("--settings", "--pythonpath"):
        parser.add_argument(name, default=default, help=hidden)
    for name in ("--traceback", "--debug", "--no-color", "--force-color", "--skip-checks"):
        parser.add_argument(name, action="store_true", default=default or False, help=hidden)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case str():
            return value
        case dict() | list() | tuple():
            return json.dumps(value).decode()
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%MZ}"
    return str(value)


def _leave(code: Exit) -> NoReturn:
    sys.exit(int(code))

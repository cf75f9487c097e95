"""Starting a run from a command, and saying what it came to."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings

from apps.common.commands import OrchestraCommand
from apps.common.ids import short_id
from apps.common.json import JSON
from apps.common.money import cost_text
from apps.observability.selectors import usage
from apps.workflows import selectors
from apps.workflows.engine.states import RunStatus
from apps.workflows.management import following
from apps.workflows.management.tree import message_of, seconds_text, took
from apps.workflows.models import Run
from apps.workflows.store.values import read_value


def start_once(command: OrchestraCommand, start: Callable[[], UUID], options: Mapping[str, Any], asked: JSON) -> Run:
    """Start a run, or find the one that the idempotency key started before; `asked` is what the key stands for."""
    key = options.get("idempotency_key")
    if key is None:
        return selectors.find_run(start())
    from apps.accounts.idempotency import Act, once

    act = Act("CLI", f"{options['subcommand']}", asked)
    outcome = once(command.organization.pk, key, act, lambda: (202, {"id": str(start())}))
    if outcome.replayed:
        command.note("The key was used before: this is the run that it started then.")
    return selectors.find_run(outcome.body["id"])


def after_start(command: OrchestraCommand, run: Run, options: Mapping[str, Any]) -> None:
    """Print the new run's id; with --follow or --wait how it goes and what it gives."""
    if not (options["wait"] or options["follow"] or options["timeout"] is not None):
        _print_started(command, run)
        return
    version = f" v{run.version.number}" if run.workflow_id else ""
    command.note(f"{run.pk}  {run.name}{version}  {settings.ORCHESTRA_BASE_URL}/v1/runs/{run.pk}")
    view: following.View = following.Nothing()
    if options["follow"]:
        view = following.view_for(command, command.stdout if command.json else command.stderr)
    report_end(command, follow(command, run, view, options["timeout"]), output=not (command.json and options["follow"]))


def follow(command: OrchestraCommand, run: Run, view: following.View, timeout: float | None) -> Run:
    """Show a run until it has ended; whoever stops earlier is told how to come back."""
    try:
        return following.follow(run, view, timeout)
    except (KeyboardInterrupt, TimeoutError):
        command.next_step(f"bin/manage runs watch {short_id(run.pk)}    (the run goes on)")
        raise


def report_end(command: OrchestraCommand, run: Run, *, output: bool) -> None:
    """Say how a run ended, with its output where that is wanted; a run that did not complete is a failure."""
    if output and command.json:
        from apps.workflows.serializers.runs import started_run

        command.print_json(started_run(run))
    elif output and run.status == RunStatus.COMPLETED:
        command.print_json(read_value(run.organization_id, run.output))
    spent = usage.of_run(run.pk)
    cost = f", {cost_text(spent.cost_micro_usd, spent.unpriced)}" if spent.cost_micro_usd or spent.unpriced else ""
    if run.status == RunStatus.COMPLETED:
        command.note(f"completed in {seconds_text(took(run) or 0.0)}{cost}")
        command.next_step(f"bin/manage runs show {short_id(run.pk)}")
        return
    ending = "retry" if run.status == RunStatus.FAILED else "show"
    command.next_step(f"bin/manage runs {ending} {short_id(run.pk)}")
    command.fail(f"The run {'failed' if run.status == RunStatus.FAILED else f'was {run.status}'}{_reason(run)}")


def _print_started(command: OrchestraCommand, run: Run) -> None:
    if command.json:
        from apps.workflows.serializers.runs import started_run

        command.print_json(started_run(run))
    else:
        command.line(str(run.pk))
    command.next_step(f"bin/manage runs watch {short_id(run.pk)}")


def _reason(run: Run) -> str:
    if not run.error:
        return "."
    node = run.error.get("node")
    return f"{f' at {node}' if node else ''}: {message_of(run.error)}"

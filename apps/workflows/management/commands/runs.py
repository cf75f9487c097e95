from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from apps.common.clock import now
from apps.common.commands import OrchestraCommand, actor, argument, subcommand
from apps.common.documents import read_document
from apps.common.errors import BadRequest, DomainError, NotFound
from apps.common.ids import short_id
from apps.common.json import JSON
from apps.observability.models import LogLine
from apps.workflows import selectors
from apps.workflows.engine.states import RunStatus
from apps.workflows.management import following
from apps.workflows.management.options import (
    IDEMPOTENCY_KEY,
    INPUT,
    WAITING,
    given_input,
    parsed,
    read_text,
    run_argument,
    seconds,
    shortened,
    since,
)
from apps.workflows.management.outcome import after_start, follow, report_end, start_once
from apps.workflows.management.tree import message_of, seconds_text, took
from apps.workflows.models import Run

Options = Mapping[str, Any]
MOST_NAMED = 20  # runs, before people are asked whether to go on
FILTERS = (
    argument("--status", action="append", choices=[*RunStatus], help="runs with this status; again for another"),
    argument("--workflow", metavar="NAME", help="runs of this workflow"),
    argument("--trigger", metavar="KIND", help="runs that were started this way: api, cli, task, demo, ..."),
    argument("--label", action="append", default=[], metavar="K:V", help="runs with this label"),
    argument("--since", metavar="TIME", help="runs of the last 30m, 2h, 7d, ..."),
)
CHOICE = (
    argument("runs", nargs="*", metavar="RUN", help="ids, or unique endings of them"),
    argument("--all", action="store_true", help="all runs that the filters leave"),
    argument("--dry-run", action="store_true", help="only say which runs these are"),
    *FILTERS,
)
FORK = (
    run_argument(),
    argument("--from", dest="from_node", metavar="NODE", help="the node that runs again first; else the first of all"),
    argument("--visit", type=int, metavar="N", help="which visit of that node; without it the latest"),
    argument("--context", action="append", default=[], metavar="K=V", help="a context key to set; again for another"),
    argument("--file", metavar="FILE", help="another definition to go on with"),
    *INPUT,
    *WAITING,
    IDEMPOTENCY_KEY,
)


class Command(OrchestraCommand):
    help = "Shows runs, follows them, and acts on them."

    @subcommand(*FILTERS, argument("--limit", type=int, default=20, metavar="N", help="the newest so many (20)"))
    def list_(self, limit: int, options: Options) -> None:
        """List runs, the newest first."""
        found = _filtered(options).order_by("-created_at", "-id").defer("input", "output", "marking")
        rows = list(found[: max(0, limit)])
        self.table(map(self._row, rows), ["id", "status", "age", "took", "workflow"])
        failed = next((run for run in rows if run.status == RunStatus.FAILED), None)
        if shown := failed or next(iter(rows), None):
            self.next_step(f"bin/manage runs show {short_id(shown.pk)}")

    @subcommand(
        run_argument(),
        argument("--node", metavar="NODE", help="only this node, with its input, output and attempts"),
        argument("--output", action="store_true", help="only the output, as JSON"),
    )
    def show(self, run: str, node: str | None, output: bool) -> None:
        """Show a run and its nodes."""
        from apps.workflows.serializers.runs import run_detail

        found = selectors.find_run(run)
        detail = run_detail(found)
        if output:
            self.print_json(detail["output"])
        elif node:
            self._show_node(detail, node)
        elif self.json:
            self.print_json(detail)
        else:
            self._show_run(found, detail)

    @subcommand(
        run_argument(), argument("--timeout", type=seconds, metavar="TIME", help="stop watching after 30s, 5m, ...")
    )
    def watch(self, run: str, timeout: float | None) -> None:
        """Watch a run until it has ended: its nodes as a tree, or with --json its events.

        Ctrl-C ends the watching and not the run.
        """
        view = following.view_for(self, self.stdout)
        report_end(self, follow(self, selectors.find_run(run), view, timeout), output=False)

    @subcommand(
        run_argument(),
        argument("--node", default="", metavar="NODE", help="only this node"),
        argument("--level", default="", choices=[*LogLine.Level.values], help="only this level"),
        argument("--search", default="", metavar="TEXT", help="only messages with this in them"),
        argument("--follow", action="store_true", help="go on until the run has ended"),
        argument("--limit", type=int, metavar="N", help="at most so many, the oldest first"),
    )
    def logs(self, run: str, follow: bool, limit: int | None, options: Options) -> None:
        """Print what the nodes of a run wrote to its log."""
        found = selectors.find_run(run)
        filters = {name: options[name] for name in ("node", "level", "search")}
        lines = selectors.log_lines(found, **filters).order_by("created_at", "id")
        if not follow:
            self._print_log(islice(lines.iterator(), limit))
            return
        seen: set[Any] = set()  # lines are written in batches, so a late one may be older than what was printed
        for _ in following.looks(found.pk):
            new = [line for line in lines if line.pk not in seen]
            seen.update(line.pk for line in new)
            self._print_log(new)

    @subcommand(*CHOICE)
    def cancel(self, dry_run: bool, options: Options) -> None:
        """End runs and everything in flight, their child runs included."""
        from apps.workflows.services.runs import cancel_run

        chosen = _chosen(options, statuses=selectors.GOING_ON)
        if self._may_go_on(chosen, "Will be cancelled", dry_run):
            self._act(chosen, lambda run: cancel_run(run.pk, by=actor()))

    @subcommand(*CHOICE)
    def retry(self, dry_run: bool, options: Options) -> None:
        """Go on with failed runs from their failed nodes; finished work is not repeated."""
        from apps.workflows.services.runs import retry_run

        chosen = _chosen(options, statuses=[RunStatus.FAILED])
        asks = dry_run or options["all"]
        if not asks or self._may_go_on(chosen, "Will be retried", dry_run):
            self._act(chosen, lambda run: retry_run(run.pk, by=actor()))
            self.next_step("bin/manage runs watch " + (short_id(chosen[0].pk) if chosen else "RUN"))

    @subcommand(run_argument())
    def pause(self, run: str) -> None:
        """Let running nodes finish and start no further ones."""
        from apps.workflows.services.runs import pause_run

        self._act([selectors.find_run(run)], lambda found: pause_run(found.pk, by=actor()))
        self.next_step(f"bin/manage runs resume {run}")

    @subcommand(run_argument())
    def resume(self, run: str) -> None:
        """Go on with a paused run."""
        from apps.workflows.services.runs import resume_run

        self._act([selectors.find_run(run)], lambda found: resume_run(found.pk, by=actor()))
        self.next_step(f"bin/manage runs watch {run}")

    @subcommand(
        run_argument(),
        argument("event", metavar="EVENT"),
        argument("--data", default="{}", metavar="JSON", help="JSON, @FILE, or - for standard input"),
    )
    def signal(self, run: str, event: str, data: str) -> None:
        """Deliver an event to the node that waits for it; one that comes early is kept."""
        from apps.workflows.services.signals import send_signal

        found = selectors.find_run(run)
        taken = send_signal(found.pk, event, read_document(data), by=actor())
        self.show_value({"run": str(found.pk), "event": event, "delivered": taken})
        self.next_step(f"bin/manage runs watch {run}")

    @subcommand(*FORK)
    def fork(self, run: str, options: Options) -> None:
        """Start a new run that takes over what this one finished before a node; without --from it repeats all of it."""
        from apps.workflows.services.forks import fork_run

        found = selectors.find_run(run)
        changes = _changes(found, options)
        asked = {"run": str(found.pk), **changes}
        new = start_once(self, lambda: fork_run(found, by=actor(), **changes), options, asked)
        after_start(self, new, options)

    @subcommand(*FORK)
    def rerun(self, run: str, options: Options) -> None:
        """Do the same as fork, under the name that fits without --from."""
        self.fork(run, options)

    def _row(self, run: Run) -> dict[str, JSON]:
        if self.json:
            from apps.workflows.serializers.runs import run_view

            return run_view(run)
        spent = took(run)
        return {
            "id": str(run.pk),
            "status": run.status,
            "age": _age(run),
            "took": None if spent is None else seconds_text(spent),
            "workflow": shortened(run.name, 18),  # 80 columns in all
        }

    def _show_run(self, run: Run, detail: dict[str, Any]) -> None:
        version = f" v{detail['version']}" if detail["version"] else ""
        facts = {"run": detail["id"], "workflow": f"{detail['workflow']}{version}", "status": detail["status"]}
        facts |= {name: detail[name] for name in ("created_at", "duration_ms", "trigger", "created_by")}
        facts |= {name: detail[name] for name in ("parent", "forked_from", "labels", "cost_usd") if detail[name]}
        self.show_value(facts | {"input": detail["input"]})
        self.line()
        for line in following.tree_lines(run):
            self.line(line)
        if detail["output"] is not None:
            self.line("\noutput")
            self.line(_indented(detail["output"]))
        if detail["error"]:
            self.line(f"\nfailed at {detail['error'].get('node') or 'the end'}: {message_of(detail['error'])}")
        self.next_step(_useful_next(run))

    def _show_node(self, detail: dict[str, Any], node: str) -> None:
        visits = [view for view in detail["nodes"] if view["node"] == node]
        if not visits:
            known = ", ".join(dict.fromkeys(view["node"] for view in detail["nodes"]))
            raise NotFound(f"The run has no node '{node}'; it has {known}.")
        if self.json:
            self.print_json({"items": visits})
            return
        for view in visits:
            shown = {name: value for name, value in view.items() if _says_something(name, value)}
            self.show_value(shown)
            for attempt in view["attempts"]:
                ended = f" {message_of(attempt['error'])}" if attempt["error"] else ""
                self.line(f"attempt {attempt['no']}  {attempt['outcome']}  {attempt['worker']}{ended}")
            self.line()

    def _print_log(self, lines: Any) -> None:
        from apps.workflows.serializers.runs import log_line_view

        for line in lines:
            fields = "".join(f"  {name}={value}" for name, value in line.fields.items())
            text = f"{line.created_at:%H:%M:%S.%f}"[:-3] + f"  {line.level:<7}  {line.node}  {line.message}{fields}"
            self.item(log_line_view(line) if self.json else {}, text)

    def _may_go_on(self, chosen: Sequence[Run], what: str, dry_run: bool) -> bool:
        names = ", ".join(f"{run.name} {short_id(run.pk)} ({run.status})" for run in chosen[:MOST_NAMED])
        more = f" and {len(chosen) - MOST_NAMED} more" if len(chosen) > MOST_NAMED else ""
        said = f"{what}: {names or 'nothing'}{more}."
        if dry_run:
            self.note(said)
            self.table(map(self._row, chosen), ["id", "status", "age", "took", "workflow"])
            return False
        if chosen:
            self.confirm(said)
        return True

    def _act(self, chosen: Sequence[Run], act: Callable[[Run], object]) -> None:
        """Act on each run and print what it is then; what was refused is said in the end."""
        refused: list[DomainError] = []
        rows = []
        for run in chosen:
            try:
                act(run)
            except DomainError as error:
                refused.append(error)
                self.note(f"{short_id(run.pk)}: {error.detail}")
            rows.append(self._row(selectors.find_run(run.pk)))
        self.table(rows, ["id", "status", "age", "took", "workflow"])
        if refused:
            raise refused[0]


def _filtered(options: Options, statuses: Sequence[str] = ()) -> QuerySet[Run]:
    names = ("workflow", "trigger")
    wanted = {name: options[name] for name in names} | {"status": options["status"] or statuses}
    wanted["label"] = [label.replace("=", ":", 1) for label in options["label"]]
    return selectors.filtered_runs(wanted | {"created_after": since(options["since"])})


def _chosen(options: Options, statuses: Sequence[str]) -> list[Run]:
    if bool(options["runs"]) == options["all"]:
        raise BadRequest("Name runs, or say --all (with --status, --workflow, --since to narrow it).")
    if options["all"]:
        return list(_filtered(options, statuses).order_by("created_at", "id"))
    return [selectors.find_run(ref) for ref in options["runs"]]


def _changes(run: Run, options: Options) -> dict[str, Any]:
    """What is different in a fork."""
    document = parsed(read_text(options["file"]), options["file"])[0] if options["file"] else None
    schema = run.version.document.get("inputs")
    given = options["input"] or options["input_file"]
    return {
        "from_node": options["from_node"] or _first_node(run),
        "visit": options["visit"],
        "input": _input_of(run) | given_input(options["input"], options["input_file"], schema) if given else None,
        "context": given_input(options["context"], None) or None,
        "definition": document,
    }


def _first_node(run: Run) -> str:
    """An entry node: when it was queued nothing had been finished, so a fork there repeats everything."""
    first = selectors.events(run).filter(type="node.queued").first()
    if first is None:
        raise BadRequest("The run has not come to any node yet.")
    return first.node


def _input_of(run: Run) -> dict[str, JSON]:
    from apps.workflows.store.values import read_value

    return dict(read_value(run.organization_id, run.input))


def _age(run: Run) -> str:
    age = (now() - run.created_at).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if age >= size:
            return f"{int(age // size)}{unit}"
    return f"{int(max(0, age))}s"


def _says_something(name: str, value: Any) -> bool:
    """Whether a person wants to read it; the first item of a map is number 0, while other figures count from 1."""
    return name != "attempts" and (value not in (None, [], 0) or (name == "index" and value == 0))


def _useful_next(run: Run) -> str:
    ending = short_id(run.pk)
    question = selectors.approvals().filter(run=run).first() if run.status == RunStatus.WAITING else None
    if question is not None:
        return f"bin/manage approvals show {short_id(question.pk)}"
    if (run.error or {}).get("code") == "effect_unknown" and run.status == RunStatus.FAILED:
        return f"bin/manage effects list {ending}"
    acts = {RunStatus.FAILED: "retry", RunStatus.PAUSED: "resume", RunStatus.COMPLETED: "rerun"}
    return f"bin/manage runs {acts.get(RunStatus(run.status), 'watch')} {ending}"


def _indented(value: JSON) -> str:
    from apps.common import yaml

    return "\n".join(f"  {line}" for line in yaml.dumps(value).splitlines())

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.common import yaml
from apps.common.commands import Exit, OrchestraCommand, actor, argument, subcommand
from apps.common.errors import BadRequest, ErrorItem, Invalid
from apps.common.json import JSON
from apps.workflows import selectors
from apps.workflows.management.options import (
    IDEMPOTENCY_KEY,
    INPUT,
    WAITING,
    given_input,
    labels,
    parsed,
    read_text,
    shortened,
)
from apps.workflows.management.outcome import after_start, start_once
from apps.workflows.models import Workflow, WorkflowVersion

Options = Mapping[str, Any]
NAME = argument("name", metavar="NAME", help="its name, or its id")
VERSION = argument("--version", dest="number", type=int, metavar="N", help="this version; else the newest")


class Command(OrchestraCommand):
    help = "Shows, checks, saves and runs workflows."

    @subcommand(
        argument("--search", metavar="TEXT", help="only names and titles with this in them"),
        argument("--limit", type=int, default=100, metavar="N", help="at most so many, by name (100)"),
    )
    def list_(self, search: str | None, limit: int) -> None:
        """List the workflows that are not archived, by name."""
        found = selectors.workflows().order_by("name")
        if search:
            found = found.filter(name__icontains=search) | found.filter(title__icontains=search)
        rows = list(found[: max(0, limit)])
        self.table(map(self._row, rows), ["name", "version", "published", "description"])
        if rows:
            self.next_step(f"bin/manage workflows show {_quoted(rows[0].name)}")
        else:
            self.next_step("bin/manage demo    (loads workflows to try)")

    @subcommand(NAME, VERSION)
    def show(self, name: str, number: int | None) -> None:
        """Show a workflow with its definition."""
        from apps.workflows.serializers.workflows import workflow_detail

        workflow = selectors.find_workflow(name)
        version = _version(workflow, number)
        detail = workflow_detail(workflow, version, _warnings(version))
        if self.json:
            self.print_json(detail)
            return
        facts = ("id", "name", "title", "description", "version", "published_version", "dialect", "updated_at")
        self.show_value({fact: detail[fact] for fact in facts if detail[fact]})
        self.line()
        self.line(yaml.dumps(detail["definition"]).rstrip())
        self._warn(detail["warnings"])
        self.next_step(f"bin/manage workflows run {_quoted(workflow.name)} --follow")

    @subcommand(
        argument("file", metavar="FILE", nargs="?", help="JSON or YAML, any dialect; - for standard input"),
        argument("--file", dest="named_file", metavar="FILE", help="the same"),
    )
    def validate(self, file: str | None, named_file: str | None) -> None:
        """Check a definition as saving it would, and store nothing."""
        from apps.workflows.serializers.workflows import invalid_view, valid_view
        from apps.workflows.services.definitions import check_definition

        path = named_file or file or "-"
        document, _ = parsed(read_text(path), path)
        try:
            checked = check_definition(document)
        except Invalid as error:
            self._print_faults(path, error)
            if self.json:
                self.print_json(invalid_view(error))
            self.fail(f"{path} is not valid.", Exit.FAILED)
        view = valid_view(checked)
        if self.json:
            self.print_json(view)
            return
        graph = view["graph"]
        self.line(f"{path} is valid: {graph['nodes']} nodes, {graph['edges']} edges ({view['dialect']}).")
        self._warn(view["warnings"])
        self.next_step(f"bin/manage workflows import {path}")

    @subcommand(
        argument("name", metavar="NAME", nargs="?", help="a saved workflow; with --file none"),
        argument("--file", metavar="FILE", help="run this definition without saving it; - for standard input"),
        VERSION,
        *INPUT,
        argument("--label", action="append", default=[], metavar="K=V", help="kept with the run; again for another"),
        argument("--priority", type=int, default=0, metavar="N", help="-100 to 100; higher runs first"),
        *WAITING,
        IDEMPOTENCY_KEY,
    )
    def run(self, name: str | None, file: str | None, number: int | None, options: Options) -> None:
        """Start a run and print its id; with --wait or --follow its output when it has ended."""
        from apps.workflows.services.runs import Order, start_run

        if (name is None) == (file is None):
            raise BadRequest("Name a workflow, or a definition with --file.")
        version = self._inline(file) if file else _published(name or "", number)
        given = given_input(options["input"], options["input_file"], version.document.get("inputs"))
        facts = {"input": given, "priority": options["priority"], "labels": labels(options["label"])}
        order = Order(**facts, trigger="cli", by=actor())
        run = start_once(
            self,
            lambda: start_run(organization=self.organization, version=version, order=order),
            options,
            {"version": str(version.pk), **facts},
        )
        after_start(self, run, options)

    @subcommand(
        argument("files", metavar="FILE", nargs="+", help="JSON or YAML, any dialect; - for standard input"),
        argument("--message", default="", metavar="TEXT", help="what changed, kept with the version"),
    )
    def import_(self, files: list[str], message: str) -> None:
        """Save definitions: each a new workflow, a new version, or nothing where the content is the newest's."""
        from apps.workflows.services.definitions import check_definition
        from apps.workflows.services.versions import Source, save_workflow

        rows: list[dict[str, Any]] = []
        for path in files:
            text = read_text(path)
            document, kind = parsed(text, path)
            checked = _checked_file(path, document, check_definition)
            saved = save_workflow(
                organization=self.organization, checked=checked, source=Source(text, kind), by=actor(), message=message
            )
            self._warn([{"pointer": issue.pointer, "message": issue.message} for issue in checked.warnings])
            result = "new" if saved.is_new_workflow else "new version" if saved.is_new_version else "unchanged"
            rows.append(
                {
                    "name": saved.workflow.name,
                    "version": saved.version.number,
                    "result": result,
                    "id": str(saved.workflow.pk),
                    "file": path,
                }
            )
        self.table(rows, ["name", "version", "result", "file"])
        self.next_step(f"bin/manage workflows run {_quoted(rows[0]['name'])} --follow")

    @subcommand(
        NAME,
        VERSION,
        argument("--format", choices=["yaml", "json"], default="yaml", help="yaml, unless you say json"),
        argument("--output", "-o", metavar="FILE", help="write it there"),
    )
    def export(self, name: str, number: int | None, format: str, output: str | None) -> None:  # noqa: A002
        """Print a workflow in canonical form, in which a small edit is a small diff."""
        document = _version(selectors.find_workflow(name), number).document
        if output is None and (self.json or format == "json"):
            self.print_json(document)
            return
        if output is None:
            self.line(yaml.dumps(document).rstrip())
            return
        from apps.common import json

        text = json.dumps(document, indent=True).decode() + "\n" if format == "json" else yaml.dumps(document)
        Path(output).write_text(text, encoding="utf-8")
        self.note(f"Written to {output}.")

    @subcommand(
        NAME,
        argument("before", type=int, nargs="?", metavar="A", help="a version; without it the one before the newest"),
        argument("after", type=int, nargs="?", metavar="B", help="a version; without it the newest"),
        argument("--file", metavar="FILE", help="compare with this definition instead of B"),
    )
    def diff(self, name: str, before: int | None, after: int | None, file: str | None) -> None:
        """Show what changed from one version to another, or to a file."""
        from apps.workflows.services.diffs import compare_versions

        workflow = selectors.find_workflow(name)
        newest = workflow.latest_version
        first = before or (newest if file else max(1, newest - 1))
        earlier = _version(workflow, first).document
        later = self._canonical(file) if file else _version(workflow, after or newest).document
        found = compare_versions(earlier, later)
        if self.json:
            self.print_json(found)
        elif not found["changes"]:
            self.note("Nothing is different.")
        else:
            self.line(found["text"])

    @subcommand(NAME, argument("number", type=int, nargs="?", metavar="N", help="without it the newest version"))
    def publish(self, name: str, number: int | None) -> None:
        """Make a version the one that runs; newer versions wait until they are published too."""
        from apps.workflows.serializers.workflows import workflow_view
        from apps.workflows.services.versions import publish_version

        workflow = selectors.find_workflow(name)
        published = publish_version(workflow, number or workflow.latest_version)
        self.show_value(workflow_view(published) if self.json else _facts(published))
        self.next_step(f"bin/manage workflows run {_quoted(published.name)} --follow")

    @subcommand(NAME)
    def archive(self, name: str) -> None:
        """Take a workflow out of the lists; its runs stay, and its name is free again."""
        from apps.workflows.services.versions import archive_workflow

        workflow = selectors.find_workflow(name)
        self.confirm(f"The workflow '{workflow.name}' will be archived; its runs stay.")
        archive_workflow(workflow)
        self.show_value({"archived": workflow.name, "id": str(workflow.pk)})

    def _inline(self, path: str) -> WorkflowVersion:
        from apps.workflows.services.definitions import check_definition
        from apps.workflows.services.versions import Source, inline_version

        text = read_text(path)
        document, kind = parsed(text, path)
        checked = _checked_file(path, document, check_definition)
        return inline_version(organization=self.organization, checked=checked, source=Source(text, kind), by=actor())

    def _canonical(self, path: str) -> JSON:
        from apps.workflows.services.definitions import check_definition

        return _checked_file(path, parsed(read_text(path), path)[0], check_definition).document

    def _row(self, workflow: Workflow) -> dict[str, Any]:
        if self.json:
            from apps.workflows.serializers.workflows import workflow_view

            return workflow_view(workflow)
        return _facts(workflow)

    def _warn(self, warnings: list[Any]) -> None:
        for warning in warnings:
            self.note(f"warning: {warning['pointer'] or '/'}: {warning['message']}")

    def _print_faults(self, path: str, error: Invalid) -> None:
        for item in error.errors:
            self.note(f"{path}#{item.pointer or '/'}: {_sentence(item)}")


def _facts(workflow: Workflow) -> dict[str, Any]:
    return {
        "name": workflow.name,
        "version": workflow.latest_version,
        "published": workflow.published_version,
        "description": shortened(workflow.description, 34),
    }


def _version(workflow: Workflow, number: int | None) -> WorkflowVersion:
    from apps.workflows.services.versions import find_version

    return find_version(workflow, number or workflow.latest_version)


def _published(name: str, number: int | None) -> WorkflowVersion:
    from apps.workflows.services.versions import find_version

    return find_version(selectors.find_workflow(name), number)


def _warnings(version: WorkflowVersion) -> list[Any]:
    from apps.workflows.services.definitions import check_definition

    return check_definition(version.document).warnings


def _checked_file(path: str, document: JSON, check: Any) -> Any:
    """The checked definition; of several files an error says which one it is in."""
    try:
        return check(document)
    except Invalid as error:
        raise Invalid(f"{path}: {error.detail}", code=error.code, errors=error.errors) from None


def _sentence(item: ErrorItem) -> str:
    return f"{item.message} {item.fix}" if item.fix else item.message


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name

from argparse import ArgumentParser
from typing import Any

from apps.common.commands import OrchestraCommand, actor
from apps.workflows import selectors
from apps.workflows.management.options import WAITING
from apps.workflows.management.outcome import after_start
from apps.workflows.models import Workflow


class Command(OrchestraCommand):
    help = "Saves the workflows of the gallery, which need no model key; lists them, or runs one with its sample input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments."""
        super().add_arguments(parser)  # type: ignore[arg-type]
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--list", action="store_true", help="only list what there is")
        group.add_argument("--run", metavar="NAME", help="run this one; without --wait it is followed")
        for one in WAITING:
            parser.add_argument(*one.names, **one.options)

    def handle(self, *_args: Any, **options: Any) -> None:
        """List, run, or save them all."""
        self.json = options["json"]
        with self.within(options["organization"]):
            if options["list"]:
                self._list()
            elif options["run"]:
                self._run(options["run"], options)
            else:
                self._load()

    def _list(self) -> None:
        from apps.workflows.serializers.templates import template_view
        from apps.workflows.services.gallery import templates

        self.table(map(template_view, templates().values()), ["name", "title"])
        self.next_step("bin/manage demo --run content-analysis")

    def _run(self, name: str, options: dict[str, Any]) -> None:
        from apps.workflows.services.gallery import run_demo

        run = selectors.find_run(run_demo(self.organization, name, by=actor()))
        after_start(self, run, {**options, "follow": options["follow"] or not (options["wait"] or self.json)})

    def _load(self) -> None:
        from apps.workflows.services.gallery import load_demos

        loaded = load_demos(self.organization, restore=True)
        self.table(map(self._row, loaded), ["name", "version", "id"])
        self.next_step("bin/manage demo --run content-analysis")

    def _row(self, workflow: Workflow) -> dict[str, Any]:
        from apps.workflows.serializers.workflows import workflow_view

        return workflow_view(workflow)

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings

from apps.common.commands import OrchestraCommand
from apps.workflows.services.retention import forget_old_runs


class Command(OrchestraCommand):
    help = "Deletes the runs of all organizations that ended longer ago than ORCHESTRA_RETENTION_DAYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments."""
        super().add_arguments(parser)  # type: ignore[arg-type]
        parser.add_argument("--days", type=float, metavar="DAYS", help="another age than the setting")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete, and tell."""
        self.json = options["json"]
        days = settings.ORCHESTRA_RETENTION_DAYS if options["days"] is None else options["days"]
        if options["days"] is None and not days:
            self.note("ORCHESTRA_RETENTION_DAYS is 0: runs are kept for ever.")
            return
        done = forget_old_runs(timedelta(days=days), dry_run=options["dry_run"])
        word = "would_be_deleted" if options["dry_run"] else "deleted"
        self.table([{word: done.runs, "kept": done.kept}], [word, "kept"])
        if done.kept:
            self.note("Kept: runs that go on in a child run, or with an effect that nobody has decided on.")
            self.next_step("bin/manage effects list --state unknown")
        elif options["dry_run"] and done.runs:
            self.next_step("bin/manage retention")

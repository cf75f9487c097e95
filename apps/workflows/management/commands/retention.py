from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings

from apps.agents.memory.erasing import forget_unused_sessions
from apps.common.commands import OrchestraCommand
from apps.workflows.services.retention import Forgotten, forget_old_runs


class Command(OrchestraCommand):
    help = (
        "Deletes the runs of all organizations that ended longer ago than ORCHESTRA_RETENTION_DAYS, and the sessions "
        "that nobody has used for ORCHESTRA_SESSION_DAYS."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments."""
        super().add_arguments(parser)  # type: ignore[arg-type]
        parser.add_argument("--days", type=float, metavar="DAYS", help="another age of runs than the setting")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete, and tell."""
        self.json = options["json"]
        is_asked, dry_run = options["days"] is not None, options["dry_run"]
        days = options["days"] if is_asked else settings.ORCHESTRA_RETENTION_DAYS
        if not is_asked and not days:
            self.note("ORCHESTRA_RETENTION_DAYS is 0: runs are kept for ever.")
        done = forget_old_runs(timedelta(days=days), dry_run=dry_run) if days or is_asked else Forgotten()
        unused = settings.ORCHESTRA_SESSION_DAYS
        sessions = forget_unused_sessions(timedelta(days=unused), dry_run=dry_run) if unused else 0
        word = "would_be_deleted" if dry_run else "deleted"
        self.table([{word: done.runs, "kept": done.kept, "sessions": sessions}], [word, "kept", "sessions"])
        if done.kept:
            self.note("Kept: runs that go on in a child run, or with an effect that nobody has decided on.")
            self.next_step("bin/manage effects list --state unknown")
        elif dry_run and (done.runs or sessions):
            self.next_step("bin/manage retention")

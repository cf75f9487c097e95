from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django_scopes import scopes_disabled

from apps.common.commands import OrchestraCommand
from apps.common.ids import short_id
from apps.workflows.models import NodeRun, Run
from apps.workflows.store import workers
from apps.workflows.store.database import transaction
from apps.workflows.store.findings import Finding, findings

# What the recovery does about each kind of finding.
ACTS = {
    "lost": "queued again",
    "timed_out": "ended as timed out",
    "due": "goes on, its time has come",
    "child_ended": "told that its child run has ended",
    "agent_ended": "told that the agent outside is done",
    "unhinted": "offered to the workers again",
    "run_timed_out": "failed, its time is over",
    "orphaned": "cancelled, nobody waits for it",
}


class Command(OrchestraCommand):
    help = "Takes back what dead workers held and fires what is due, in all organizations; says what it did."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments."""
        super().add_arguments(parser)  # type: ignore[arg-type]
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Look, act, and tell."""
        from apps.workflows.services.recovery import HINT_AGAIN_SECONDS, MOST_LOSSES, recover

        self.json = options["json"]
        lease = settings.ORCHESTRA_LEASE_SECONDS
        with transaction() as tx:
            found = findings(tx, workers.dead(tx, lease), HINT_AGAIN_SECONDS)
        if not options["dry_run"]:
            recover(lease)
        with scopes_disabled():
            rows = [_row(finding, MOST_LOSSES, done=not options["dry_run"]) for finding in found]
        self.table(rows, ["run", "workflow", "node", "why", "would_be" if options["dry_run"] else "now"])
        if not rows:
            self.note("Nothing is lost, late or due.")
        elif options["dry_run"]:
            self.next_step("bin/manage recover")
        else:
            self.next_step(f"bin/manage runs show {short_id(found[0].run)}")


def _row(finding: Finding, most_losses: int, *, done: bool) -> dict[str, Any]:
    why = f"worker {finding.worker} is gone" if finding.kind == "lost" else finding.kind.replace("_", " ")
    is_poison = finding.kind == "lost" and finding.lost_count + 1 >= most_losses
    act = "failed as poison, it was lost too often" if is_poison else ACTS[finding.kind]
    row = {
        "run": str(finding.run),
        "workflow": finding.workflow,
        "node": _place(finding),
        "node_run": str(finding.node_run) if finding.node_run else None,
        "why": why,
    }
    return row | ({"now": f"{act}: {_status(finding)}"} if done else {"would_be": act})


def _place(finding: Finding) -> str | None:
    visit = f" #{finding.visit}" if finding.visit > 1 else ""
    return f"{finding.node}{visit}{f'[{finding.index}]' if finding.index >= 0 else ''}" or None


def _status(finding: Finding) -> str:
    if finding.node_run is not None:
        return NodeRun.objects.values_list("status", flat=True).get(pk=finding.node_run)
    return Run.objects.values_list("status", flat=True).get(pk=finding.run)

from typing import Any

from apps.common import redis
from apps.common.commands import Exit, OrchestraCommand, subcommand
from apps.workflows import selectors
from apps.workflows.store import queues
from apps.workflows.store.database import transaction

STUCK_SECONDS = 30.0  # a node run that could be claimed for so long has nobody to execute it


class Command(OrchestraCommand):
    help = "Shows what waits to be executed and who executes."

    @subcommand(organization=False)
    def status(self) -> None:
        """Show the queues of all organizations, the workers and what is stuck; fails when something is."""
        with transaction() as tx:
            waiting, workers = queues.waiting(tx), queues.workers(tx)
            wanted = queues.wanted_handlers(tx)
        missing = sorted(selectors.missing_handlers(wanted)) if workers else []
        oldest = max((row["oldest_seconds"] or 0.0 for row in waiting), default=0.0)
        hints = {queue: _hints(queue) for queue in {"default", *(row["queue"] for row in waiting)}}
        view = {
            "nodes": waiting,
            "workers": workers,
            "hints": hints,
            "missing_handlers": missing,
            "stuck": oldest > STUCK_SECONDS,
        }
        if self.json:
            self.print_json(view)
        else:
            self._show(waiting, workers, hints)
        if not workers:
            self.fail("No worker is alive, so nothing is executed. fix: bin/up", Exit.FAILED)
        if missing:
            lacking = ", ".join(missing)
            self.fail(
                f"No worker has {lacking}. fix: start a worker with the plugin or version that has it", Exit.FAILED
            )
        if oldest > STUCK_SECONDS:
            self.fail(f"Something has waited {oldest:.0f} s for a worker. fix: bin/manage recover", Exit.FAILED)
        self.next_step("bin/manage runs list --status running")

    def _show(self, waiting: list[dict[str, Any]], workers: list[dict[str, Any]], hints: dict[str, int | None]) -> None:
        for row in waiting:
            row["oldest"] = f"{row['oldest_seconds']:.0f} s" if row["oldest_seconds"] else None
        for row in workers:
            row["busy"] = f"{row['busy']}/{row['slots']}"
            row["heartbeat"] = f"{max(0.0, row['heartbeat_seconds']):.1f} s ago"
            row["leads"] = "yes" if row["leads_recovery"] else ""
        self.table(
            waiting, {"queue": "queue", "handler": "type", "status": "status", "count": "count", "oldest": "oldest"}
        )
        self.line()
        self.table(workers, ["name", "host", "pid", "busy", "heartbeat", "leads"])
        self.line()
        for queue, count in sorted(hints.items()):
            self.line(f"hints in '{queue}': {'Redis does not answer' if count is None else count}")


def _hints(queue: str) -> int | None:
    length = redis.ask(lambda client: client.llen(queue))
    return None if length is None else int(length)

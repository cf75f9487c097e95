"""A worker without threads: claims and executes in the test's own thread until nothing is left to do."""

import time
from typing import Any
from uuid import UUID

from django_scopes import scope

from apps.accounts.models import Organization
from apps.workflows.models import Run
from apps.workflows.nodes.registry import names
from apps.workflows.services import attempts, recovery, runs, versions
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.leases import Leases
from apps.workflows.services.runs import Order
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import transaction
from apps.workflows.store.values import read_value


class EngineRoom:
    """Starts runs of inline definitions in one organization and works until they end."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.leases = Leases()

    def start(self, definition: dict[str, Any], given: dict[str, Any] | None = None, **order: Any) -> UUID:
        with scope(organization=self.organization):
            checked = check_definition(definition)
            source = versions.Source("", "json")
            version = versions.inline_version(organization=self.organization, checked=checked, source=source, by="test")
            return runs.start_run(
                organization=self.organization, version=version, order=Order(input=given or {}, **order)
            )

    def work(self, *, most: int = 100_000) -> None:
        """Executes what is claimable, and what becomes so, one node run after the other."""
        for _ in range(most):
            with transaction() as tx:
                waiting = questions.claimable(tx, names(), limit=1)
            if not waiting:
                return
            attempts.work(waiting[0], self.leases)

    def until_ended(self, run: UUID, *, seconds: float = 20) -> Run:
        """Works, and lets time pass, until the run has ended."""
        return self.until(run, "completed", "failed", "cancelled", seconds=seconds)

    def until(self, run: UUID, *statuses: str, seconds: float = 20) -> Run:
        """Works, and lets time pass, until the run has one of the statuses."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.work()
            recovery.fire_due()
            recovery.end_late_runs()
            current = self.run(run)
            if current.status in statuses:
                return current
            time.sleep(0.02)
        raise AssertionError(f"The run is {self.run(run).status} after {seconds} s.")

    def finish(self, definition: dict[str, Any], given: dict[str, Any] | None = None) -> Run:
        return self.until_ended(self.start(definition, given))

    def run(self, run: UUID) -> Run:
        with scope(organization=self.organization):
            return Run.objects.get(pk=run)

    def output(self, run: Run) -> Any:
        return read_value(self.organization.pk, run.output)

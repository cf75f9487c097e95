"""A worker without threads: claims and executes in the test's own thread until nothing is left to do."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import UUID

from django_scopes import scope, scopes_disabled

from apps.accounts.models import Organization
from apps.workflows.models import (
    Approval,
    Attempt,
    ContextEntry,
    NodeRun,
    Run,
    RunEvent,
    Schedule,
    ScheduleFire,
    Worker,
)
from apps.workflows.nodes.base import Completed, Failed, Outcome, Waiting
from apps.workflows.nodes.registry import served
from apps.workflows.serializers.runs import context_of
from apps.workflows.services import approvals, attempts, forks, recovery, runs, schedules, signals, versions
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.leases import Leases
from apps.workflows.services.runs import Order
from apps.workflows.services.settler import Claim
from apps.workflows.store import recovery as questions
from apps.workflows.store import workers
from apps.workflows.store.database import look, transaction
from apps.workflows.store.rows import HELD
from apps.workflows.store.values import read_value

ENDED = ("completed", "failed", "cancelled")

_SHIFT_NODES = """
update workflows_noderun set available_at = available_at - make_interval(secs => %(seconds)s),
    deadline_at = deadline_at - make_interval(secs => %(seconds)s)
where status not in ('completed', 'failed', 'cancelled') and available_at < '9999-01-01Z'
"""
_SHIFT_DEADLINES = """
update workflows_noderun set deadline_at = deadline_at - make_interval(secs => %(seconds)s) where status = 'running'
"""
_SHIFT_RUNS = """
update workflows_run set deadline_at = deadline_at - make_interval(secs => %(seconds)s)
where status not in ('completed', 'failed', 'cancelled') and deadline_at is not null
"""
_TOUCH_RUNS = """
update workflows_run set revision = revision + 1 where status not in ('completed', 'failed', 'cancelled')
"""
_NEXT = """
select extract(epoch from min(due) - clock_timestamp())::float8 from (
    select available_at as due from workflows_noderun
    where status in ('waiting', 'retrying') and available_at < '9999-01-01Z'
    union all select deadline_at from workflows_run where status not in ('completed', 'failed', 'cancelled')) as dues
"""
_GROW_OLD = "update workflows_run set finished_at = finished_at - interval '1 hour' where id = %(run)s"
_MAKE_LATE = """
update workflows_schedule
set next_fire_at = date_trunc('second', clock_timestamp()) - make_interval(secs => %(seconds)s)
where id = %(schedule)s
"""
_DIE = """
insert into workflows_worker (id, name, host, pid, lock_key, slots, version, leads_recovery, stop_reason, stopped_at)
values (%(id)s, 'gone', 'here', 1, 1, 1, '1', false, 'dead', clock_timestamp()) on conflict do nothing
"""


class EngineRoom:
    """Starts runs of inline definitions in one organization and works until they end.

    Time does not pass by itself: `pass_time` moves everything that is due later towards now, as the
    database's clock would. `worker` is the process that works; others come from `another_worker`.
    """

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.worker = Leases()
        self.expects_fault = False  # of the engine itself, put there by the test

    def scope(self) -> AbstractContextManager[None]:
        return scope(organization=self.organization)  # type: ignore[no-any-return]

    # ---- runs -------------------------------------------------------------------------------------

    def start(self, definition: dict[str, Any], given: dict[str, Any] | None = None, **order: Any) -> UUID:
        with scope(organization=self.organization):
            checked = check_definition(definition)
            source = versions.Source("", "json")
            version = versions.inline_version(organization=self.organization, checked=checked, source=source, by="test")
            wanted = Order(input=given or {}, **order)
            return runs.start_run(organization=self.organization, version=version, order=wanted)

    def save(self, definition: dict[str, Any]) -> versions.Saved:
        """A workflow that others may name."""
        with scope(organization=self.organization):
            checked = check_definition(definition)
            source = versions.Source("", "json")
            return versions.save_workflow(organization=self.organization, checked=checked, source=source, by="test")

    def schedule(self, definition: dict[str, Any], *, name: str = "", cron: str = "* * * * *", **plan: Any) -> Schedule:
        """A schedule of a saved workflow."""
        workflow = self.save(definition).workflow
        with scope(organization=self.organization):
            return schedules.add_schedule(
                organization=self.organization,
                workflow=workflow,
                name=name or workflow.name,
                plan=schedules.Plan(cron=cron, **plan),
                by="test",
            )

    def make_late(self, schedule: Schedule, seconds: float) -> None:
        """The next time of a schedule has been due for so long."""
        with transaction() as tx:
            tx.execute(_MAKE_LATE, schedule=schedule.pk, seconds=seconds)

    def fires(self, schedule: Schedule, outcome: str | None = None) -> list[ScheduleFire]:
        """What came of the times of a schedule, in order."""
        with scope(organization=self.organization):
            found = ScheduleFire.objects.filter(schedule=schedule).select_related("run").order_by("scheduled_for")
            return list(found if outcome is None else found.filter(outcome=outcome))

    def finish(self, definition: dict[str, Any], given: dict[str, Any] | None = None) -> Run:
        return self.until_ended(self.start(definition, given))

    def until_ended(self, run: UUID, *, looks: int = 200) -> Run:
        """Works, and lets as much time pass as is needed, until the run has ended."""
        for _ in range(looks):
            self.work()
            current = self.run(run)
            if current.status in ENDED:
                return current
            self.pass_time(self.seconds_until_due())
        raise AssertionError(f"The run is {self.run(run).status}: {self.statuses(run)}")

    def cancel(self, run: UUID) -> None:
        runs.cancel_run(run, by="test")

    def pause(self, run: UUID) -> None:
        runs.pause_run(run, by="test")

    def resume(self, run: UUID) -> None:
        runs.resume_run(run, by="test")

    def retry(self, run: UUID) -> None:
        runs.retry_run(run, by="test")

    def fork(self, run: UUID, from_node: str, **changes: Any) -> UUID:
        with scope(organization=self.organization):
            return forks.fork_run(
                Run.objects.select_related("version").get(pk=run), from_node=from_node, by="test", **changes
            )

    def signal(self, run: UUID, event: str, payload: Any = None) -> bool:
        return signals.send_signal(run, event, payload, by="test")

    def approval(self, run: UUID) -> Approval:
        """The open question of a run."""
        with scope(organization=self.organization):
            return Approval.objects.get(run=run, status="open")

    def decide(
        self,
        run: UUID,
        decision: str,
        data: dict[str, Any] | None = None,
        *,
        comment: str = "",
        by: str = "user:ana",
    ) -> None:
        with scope(organization=self.organization):
            approval = self.approval(run)
            approvals.decide_approval(approval, decision=decision, data=data or {}, comment=comment, by=by)

    # ---- working ----------------------------------------------------------------------------------

    def work(self, *, most: int = 100_000, worker: Leases | None = None) -> None:
        """Executes what is claimable, and what becomes so, one node run after the other."""
        for _ in range(most):
            waiting = self.claimable()
            if not waiting:
                return
            attempts.work(waiting[0], worker or self.worker)

    def claimable(self) -> list[UUID]:
        with look() as tx:
            return questions.claimable(tx, served(), limit=1)

    def claim(self, run: UUID, node: str, *, index: int = -1, worker: Leases | None = None) -> Claim:
        """Takes a queued node run without executing it."""
        claim = attempts.take(self.node(run, node, index=index).pk, worker or self.worker)
        assert claim is not None, self.statuses(run)
        return claim

    def begin(self, run: UUID, node: str) -> None:
        """Has a node that only decides evaluated, and claims nothing of what follows."""
        idle = Leases()
        idle.draining = True
        assert attempts.take(self.node(run, node).pk, idle) is None

    def bring(
        self, claim: Claim, outcome: Outcome | Any, *, worker: Leases | None = None, go_on: bool = True
    ) -> Claim | None:
        """Brings the result of a claim, an outcome or a plain output; gives what the worker goes on with."""
        leases = worker or self.worker
        leases.draining = not go_on
        try:
            told = outcome if isinstance(outcome, (Completed, Failed, Waiting)) else Completed(outcome)
            return attempts.bring(claim, told, leases)
        finally:
            leases.draining = False

    def execute(self, claim: Claim, *, worker: Leases | None = None) -> Outcome | None:
        return attempts.execute(claim, worker or self.worker)

    def another_worker(self) -> Leases:
        return Leases()

    def die(self, worker: Leases | None = None) -> None:
        """The worker's process is gone, and the recovery has noticed."""
        self.bury(worker or self.worker)
        recovery.take_back_lost()
        if worker is None:
            self.worker = Leases()

    def bury(self, worker: Leases) -> None:
        """The worker's process is known to be gone; what it holds has not been taken back yet."""
        with transaction() as tx:
            tx.execute(_DIE, id=worker.worker)

    def die_all(self) -> None:
        """Whoever holds a node run is gone."""
        with scopes_disabled():
            held = set(NodeRun.objects.filter(status="running").values_list("worker", flat=True))
        for worker in held:
            self.die(Leases(worker))

    def look_after(self, worker: Leases | None = None) -> None:
        """What the heartbeat tells a worker: which of its node runs are not wanted any more."""
        leases = worker or self.worker
        fences = leases.fences()
        with look() as tx:
            leases.keep_only(fences, workers.still_held(tx, fences))

    # ---- time -------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """Everything due within so many seconds is due now, and fires."""
        self.make_due(seconds)
        recovery.end_overdue()
        recovery.fire_due()
        recovery.end_late_runs()

    def make_due(self, seconds: float) -> None:
        """Everything due within so many seconds is due now."""
        with transaction() as tx:
            for statement in (_SHIFT_NODES, _SHIFT_DEADLINES, _SHIFT_RUNS):
                tx.execute(statement, seconds=seconds + 0.001)
            tx.execute(_TOUCH_RUNS)

    def grow_old(self, run: UUID) -> None:
        """A run that ended has done so a while ago."""
        with self.history_open(), transaction() as tx:
            tx.execute(_GROW_OLD, run=run)

    @contextmanager
    def history_open(self) -> Iterator[None]:
        """What has ended may be changed until the block ends, which no code of ours may do."""
        self._trigger("disable")
        try:
            yield
        finally:
            self._trigger("enable")

    def _trigger(self, act: str) -> None:
        with transaction() as tx:
            for table in ("workflows_run", "workflows_noderun"):
                tx.execute(f"alter table {table} {act} trigger user")

    def seconds_until_due(self) -> float:
        with transaction() as tx:
            return max(tx.value(_NEXT) or 0.0, 0.0)

    # ---- looking ----------------------------------------------------------------------------------

    def run(self, run: UUID) -> Run:
        with scope(organization=self.organization):
            return Run.objects.select_related("version").get(pk=run)

    def status(self, run: UUID) -> str:
        return self.run(run).status

    def output(self, run: Run | UUID) -> Any:
        return read_value(self.organization.pk, (run if isinstance(run, Run) else self.run(run)).output)

    def nodes(self, run: UUID, node: str | None = None) -> list[NodeRun]:
        with scope(organization=self.organization):
            found = NodeRun.objects.filter(run=run).order_by("node", "visit", "index")
            return list(found if node is None else found.filter(node=node))

    def node(self, run: UUID, node: str, *, visit: int | None = None, index: int = -1) -> NodeRun:
        """The latest visit of a node, or an item of a map."""
        found = [row for row in self.nodes(run, node) if row.index == index and visit in (None, row.visit)]
        return found[-1]

    def statuses(self, run: UUID) -> dict[str, str]:
        """The status of each node's latest visit."""
        return {row.node: row.status for row in self.nodes(run) if row.index < 0}

    def visits(self, run: UUID) -> dict[str, int]:
        return {row.node: row.visit for row in self.nodes(run) if row.index < 0}

    def open_items(self, run: UUID, node: str) -> list[int]:
        """The items of a map that run or may be claimed."""
        items = [row for row in self.nodes(run, node) if row.index >= 0]
        return [row.index for row in items if row.status == "running" or self._may_be_claimed(row)]

    def _may_be_claimed(self, row: NodeRun) -> bool:
        return row.status == "queued" and row.available_at is not None and row.available_at < HELD

    def node_output(self, run: UUID, node: str, **which: Any) -> Any:
        return read_value(self.organization.pk, self.node(run, node, **which).output)

    def node_input(self, run: UUID, node: str, **which: Any) -> Any:
        return read_value(self.organization.pk, self.node(run, node, **which).input)

    def error(self, run: UUID) -> dict[str, Any]:
        """The error of a failed run."""
        return dict(self.run(run).error or {})

    def context(self, run: UUID) -> dict[str, Any]:
        with scope(organization=self.organization):
            return context_of(self.run(run))

    def writes(self, run: UUID, key: str) -> list[ContextEntry]:
        return list(ContextEntry.objects.filter(run=run, key=key).order_by("rank", "seq"))

    def children(self, run: UUID) -> list[Run]:
        with scope(organization=self.organization):
            return list(Run.objects.filter(parent=run).order_by("created_at", "id"))

    def events(self, run: UUID, *types: str) -> list[RunEvent]:
        found = RunEvent.objects.filter(run=run).order_by("seq")
        return list(found.filter(type__in=types) if types else found)

    def attempts(self, run: UUID, node: str, *, index: int = -1) -> list[str]:
        """How the tries of a node ended, in order; `running` for one that has not."""
        return self.attempts_of(self.node(run, node, index=index))

    def attempts_of(self, row: NodeRun) -> list[str]:
        return [attempt.outcome or "running" for attempt in Attempt.objects.filter(node_run=row).order_by("fence")]

    def workers(self) -> list[Worker]:
        with scopes_disabled():
            return list(Worker.objects.all())

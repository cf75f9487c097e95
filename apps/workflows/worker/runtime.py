"""A worker process from start to stop."""

import os
import random
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.conf import settings

from apps.accounts.services import expiry
from apps.agents.bus.retention import forget_old_messages
from apps.agents.memory.erasing import forget_unused_sessions
from apps.common.database import release_connection
from apps.workflows.services import attempts, firing, recovery
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.leases import Leases
from apps.workflows.services.retention import forget_old_runs
from apps.workflows.services.settler import Claim
from apps.workflows.services.transition import again
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import TRANSIENT, look
from apps.workflows.store.rows import NodeRow
from apps.workflows.worker.backlog import Backlog
from apps.workflows.worker.liveness import Liveness
from apps.workflows.worker.slots import Slots

POLL_SECONDS = 2.0  # hints make it faster; without any this is how late a node may start
RECOVERY_SECONDS = 1.0
RECLAIM_SECONDS = 3.0
FLUSH_SECONDS = 0.5
TIDY_SECONDS = 600.0

log = structlog.get_logger(__name__)


class WorkerRuntime:
    """What runs beside Celery's consumer in a worker process."""

    def __init__(self, slots: int | None = None) -> None:
        self.leases = Leases()
        self.slots = Slots(slots or settings.ORCHESTRA_WORKER_CONCURRENCY)
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self.liveness = Liveness(self.leases, self.name, self.slots.size)
        self.stopping = threading.Event()
        self.backlog = Backlog(self.leases)
        self.leases.crew = self
        self._hint = threading.Event()
        self._strays: set[questions.Place] = set()  # held in the table but not here, at the last look

    def start(self) -> None:
        """Registers the worker and starts its loops."""
        self.liveness.start()
        self.slots.start()
        loops = {
            self._recover: RECOVERY_SECONDS,
            self._reclaim: RECLAIM_SECONDS,
            self._flush: FLUSH_SECONDS,
            self._tidy: TIDY_SECONDS,
        }
        for loop, seconds in loops.items():
            threading.Thread(target=self._repeat, args=(loop, seconds), name=loop.__name__, daemon=True).start()
        self._hint.set()  # what waits now waits no two seconds more
        threading.Thread(target=self._poll, name="poll", daemon=True).start()
        log.info("The worker is ready.", action="worker_ready", worker=self.name, slots=self.slots.size)

    def hear_hint(self) -> None:
        """There may be something to claim. Waits for a free slot, which keeps further hints for other workers."""
        while not self.stopping.is_set() and not self.slots.wait_free(0.2):
            pass
        self._hint.set()

    def drain(self) -> None:
        """No new node is claimed from now on."""
        self.leases.draining = True
        self.stopping.set()

    def stop(self, seconds: float) -> None:
        """Lets running nodes finish for so many seconds, hands the rest back and signs off."""
        self.drain()
        self.slots.wait_idle(seconds)
        for row in self.leases.held():
            self._hand_back(row)
        self.liveness.stop()
        log.info("The worker has stopped.", action="worker_stopped", worker=self.name)

    def _fill(self) -> None:
        """Gives the free slots something to do."""
        if free := self.slots.free:
            for _ in range(self.slots.reserve(self.backlog.fill(free))):
                self.slots.begin(self._work)

    def _work(self) -> None:
        while not self.stopping.is_set() and (place := self.backlog.next()) is not None:
            claim = None
            try:
                claim = attempts.take(place.node_run, self.leases, run=place.run)
            finally:
                self.backlog.tried(place, claimed=claim is not None)
            attempts.go_on(claim, self.leases)

    def _go_on(self, claim: Claim) -> None:
        attempts.go_on(claim, self.leases)
        self._work()

    def reserve(self, wanted: int) -> int:
        """See Crew.reserve."""
        return self.slots.reserve(wanted)

    def release(self, count: int) -> None:
        """See Crew.release."""
        self.slots.release(count)

    def begin(self, claim: Claim) -> None:
        """See Crew.begin."""
        self.slots.begin(self._go_on, claim)

    def _recover(self) -> None:
        if self.liveness.leads and any(recovery.recover(settings.ORCHESTRA_LEASE_SECONDS).values()):
            self._hint.set()  # the broker may be away, or this process not have reached it yet

    def _reclaim(self) -> None:
        """Takes back what the table says this worker holds and it does not: seen twice, so not just being claimed."""
        here = self.leases.fences()
        with look() as tx:
            strays = {place for place in questions.held_by(tx, self.leases.worker) if place.node_run not in here}
        recovery.take_back_stray(self.leases.worker, strays & self._strays)
        self._strays = strays

    def _tidy(self) -> None:
        if self.liveness.leads:
            expiry.forget_expired()
            firing.forget_old_fires()
            forget_old_messages(go_on=self._may_tidy)
            if days := settings.ORCHESTRA_RETENTION_DAYS:
                forget_old_runs(timedelta(days=days), go_on=self._may_tidy)
            if days := settings.ORCHESTRA_SESSION_DAYS:
                forget_unused_sessions(timedelta(days=days), go_on=self._may_tidy)

    def _may_tidy(self) -> bool:
        return self.liveness.leads and not self.stopping.is_set()

    def _flush(self) -> None:
        for watched in self.leases.watched():
            watched.flush()

    def _hand_back(self, row: NodeRow) -> None:
        def act(transition: Transition) -> None:
            transition.read([row.id])
            current = transition.rows[row.id]
            if current.fence == row.fence and current.status == "running":
                again.release(transition, current)

        act_on_run(row.run_id, act)

    def _poll(self) -> None:
        """Looks for work at every hint, and now and then without one: hints may be lost."""
        while not self.stopping.is_set():
            self._hint.wait(POLL_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311
            self._hint.clear()
            self._once(self._fill)

    def _repeat(self, loop: Callable[[], object], seconds: float) -> None:
        """Calls `loop` again and again, the first time at once: there may be something to take back."""
        while not self.stopping.is_set():
            self._once(loop)
            self.stopping.wait(seconds * random.uniform(0.8, 1.2))  # noqa: S311

    def _once(self, loop: Callable[[], object]) -> None:
        """Calls `loop`; what fails is said, and tried again the next time, as the database may be away."""
        try:
            loop()
        except TRANSIENT as error:
            log.warning("The database does not answer.", action="database_silent", loop=loop.__name__, error=str(error))
            time.sleep(1)
        except Exception:
            log.exception("A loop of the worker failed.", action="loop_failed", loop=loop.__name__)
        finally:
            release_connection()

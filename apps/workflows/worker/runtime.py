"""A worker process from start to stop."""

import os
import random
import socket
import threading
import time
from collections.abc import Callable
from uuid import UUID

import structlog
from django.conf import settings

from apps.accounts.services import expiry
from apps.common.database import release_connection
from apps.workflows.nodes.registry import names
from apps.workflows.services import attempts, recovery
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.leases import Leases
from apps.workflows.services.transition import again
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import TRANSIENT, transaction
from apps.workflows.store.rows import NodeRow
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
        self._served = questions.NOBODY  # the organization that was served last
        self._strays: set[questions.Place] = set()  # held in the table but not here, at the last look

    def start(self) -> None:
        """Registers the worker and starts its loops."""
        self.liveness.start()
        loops = {
            self._poll: POLL_SECONDS,
            self._recover: RECOVERY_SECONDS,
            self._reclaim: RECLAIM_SECONDS,
            self._flush: FLUSH_SECONDS,
            self._tidy: TIDY_SECONDS,
        }
        for loop, seconds in loops.items():
            threading.Thread(target=self._repeat, args=(loop, seconds), name=loop.__name__, daemon=True).start()
        log.info("The worker is ready.", action="worker_ready", worker=self.name, slots=self.slots.size)

    def offer(self, node_run: UUID, *, wait: bool = True) -> bool:
        """Has a slot work on the node run; False when none is free (or, with `wait`, when the worker stops first)."""
        while not self.stopping.is_set():
            if self.slots.begin(self._work, node_run, seconds=0.2 if wait else 0.0):
                return True
            if not wait:
                return False
        return False

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

    def _work(self, hinted: UUID) -> None:
        # The last slot goes to whose turn it is, and not to whose message came first.
        if self.slots.free and not settings.ORCHESTRA_ORGANIZATION_SHARE:
            attempts.work(hinted, self.leases)
        while not self.stopping.is_set() and (following := self._pick()) is not None:
            attempts.work(following, self.leases)

    def _pick(self) -> UUID | None:
        """Something to do for the organization whose turn it is; not its first, or all slots would want the same."""
        waiting = self._waiting(self.slots.size)
        own = [offer.node_run for offer in waiting if offer.organization == waiting[0].organization]
        return random.choice(own) if own else None  # noqa: S311

    def _poll(self) -> None:
        if free := self.slots.free:
            for offer in self._waiting(free):
                self.offer(offer.node_run, wait=False)

    def _waiting(self, limit: int) -> list[questions.Offer]:
        share = settings.ORCHESTRA_ORGANIZATION_SHARE or None
        with transaction() as tx:
            found, self._served = questions.offers(tx, names(), limit, after=self._served, share=share)
        return found

    def _recover(self) -> None:
        if self.liveness.leads:
            recovery.recover(settings.ORCHESTRA_LEASE_SECONDS)

    def _reclaim(self) -> None:
        """Takes back what the table says this worker holds and it does not: seen twice, so not just being claimed."""
        here = self.leases.fences()
        with transaction() as tx:
            strays = {place for place in questions.held_by(tx, self.leases.worker) if place.node_run not in here}
        recovery.take_back_stray(self.leases.worker, strays & self._strays)
        self._strays = strays

    def _tidy(self) -> None:
        if self.liveness.leads:
            expiry.forget_expired()

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

    def _repeat(self, loop: Callable[[], object], seconds: float) -> None:
        """Calls `loop` again and again; what fails is said and tried again, as the database may be away."""
        while not self.stopping.wait(seconds * random.uniform(0.8, 1.2)):  # noqa: S311
            try:
                loop()
            except TRANSIENT as error:
                log.warning(
                    "The database does not answer.", action="database_silent", loop=loop.__name__, error=str(error)
                )
                time.sleep(1)
            except Exception:
                log.exception("A loop of the worker failed.", action="loop_failed", loop=loop.__name__)
            finally:
                release_connection()

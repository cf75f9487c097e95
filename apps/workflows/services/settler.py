"""Claims and results of this process on their way into the database.

The first thread with news of a run brings it; what arrives meanwhile waits and is brought by the same thread
together. So a wide map costs one commit for many items, two threads never stand in each other's way, and nobody waits
for anybody when news come one by one.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from django.conf import settings

from apps.common.errors import NotFound
from apps.workflows.engine.states import CLAIMABLE, NodeStatus, RunStatus
from apps.workflows.nodes.base import Failed, Outcome
from apps.workflows.nodes.registry import served
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.leases import Leases
from apps.workflows.services.raised import internal_error
from apps.workflows.services.transition.consequences import Consequences
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store.database import MANY_TRIES, TRANSIENT
from apps.workflows.store.rows import EventRow, NodeRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A node run that is this process's to execute, and the version its run is pinned to."""

    row: NodeRow
    version: UUID
    told: list[EventRow] = field(default_factory=list, compare=False)  # events, which come before its result


@dataclass
class News:
    """A finished attempt, or (without a claim) the wish to begin one."""

    run: UUID
    node_run: UUID
    claim: Claim | None = None
    outcome: Outcome | None = None
    done: threading.Event = field(default_factory=threading.Event)
    following: Claim | None = None
    error: BaseException | None = None


_Desk = tuple[UUID, UUID]  # a worker and a run


class Settler:
    """Brings news, those that one worker has of one run together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[_Desk, list[News]] = defaultdict(list)
        self._busy: set[_Desk] = set()

    def settle(self, news: News, leases: Leases) -> Claim | None:
        """Brings the news; gives the node run to go on with. Raises what the database raises."""
        desk = leases.worker, news.run
        with self._lock:
            self._waiting[desk].append(news)
            leads = desk not in self._busy
            self._busy.add(desk)
        if leads:
            self._lead(desk, leases)
        else:
            news.done.wait()
        if news.error is not None:
            raise news.error
        return news.following

    def _lead(self, desk: _Desk, leases: Leases) -> None:
        while batch := self._next(desk):
            try:
                _bring(desk[1], batch, leases)
            except BaseException as error:  # noqa: BLE001 - handed to the thread whose news it was
                for news in batch:
                    news.error = error
            for news in batch:
                news.done.set()

    def _next(self, desk: _Desk) -> list[News]:
        with self._lock:
            if batch := self._waiting.pop(desk, []):
                return batch
            self._busy.discard(desk)
            return []


def _bring(run: UUID, batch: Sequence[News], leases: Leases) -> None:
    """Writes news together; where one of them meets a fault of ours, that one is its node's failure."""
    try:
        _write(run, batch, leases)
    except TRANSIENT:
        raise
    except NotFound:  # the run has been deleted, and its news with it
        for claim in (news.claim for news in batch if news.claim):
            leases.let_go(claim.row)
    except Exception as error:
        log.exception("A result could not be written.", action="settling_failed", run_id=str(run))
        if len(batch) > 1:
            for news in batch:
                _bring(run, [news], leases)
        elif batch[0].claim is None:
            raise
        else:
            batch[0].outcome = Failed(internal_error(error))
            _write(run, batch, leases)


def _write(run: UUID, batch: Sequence[News], leases: Leases) -> None:
    def act(transition: Transition) -> None:
        transition.read([news.node_run for news in batch])
        for news in batch:
            if (row := transition.rows.get(news.node_run)) is not None:
                _work_in(transition, row, news, leases)
        transition.work_in()

    room = _Room(leases, len(batch))
    try:
        consequences = act_on_run(
            run, act, worker=leases.worker, room=room, inline=True, tries=MANY_TRIES, memory=leases.memory
        )
    except BaseException:
        room.release()
        raise
    claims = iter(_held(consequences, leases))
    for news in batch:
        news.following = next(claims, None)
        if news.claim is not None:
            leases.let_go(news.claim.row)
        elif not leases.holds(news.node_run):
            leases.acquit(news.node_run)
    room.use(claims)
    if not leases.executes(run):
        leases.memory.forget(run)


class _Room:
    """How many node runs may be claimed: one for each thread that brings news, and one for each idle slot."""

    def __init__(self, leases: Leases, here: int) -> None:
        self.leases, self.here, self.reserved = leases, here, 0

    def __call__(self, wanted: int) -> int:
        self.release()
        if self.leases.draining:
            return 0
        if wanted > self.here and not settings.ORCHESTRA_ORGANIZATION_SHARE:  # a share is counted in the queue
            self.reserved = self.leases.crew.reserve(wanted - self.here)
        return self.here + self.reserved

    def use(self, claims: Iterator[Claim]) -> None:
        """Gives the reserved slots a claim each, and frees the rest."""
        for claim in claims:
            self.leases.crew.begin(claim)
            self.reserved -= 1
        self.release()

    def release(self) -> None:
        """Frees what is reserved."""
        self.leases.crew.release(self.reserved)
        self.reserved = 0


def _work_in(transition: Transition, row: NodeRow, news: News, leases: Leases) -> None:
    if news.claim is None:
        due = row.available_at is not None and row.available_at <= transition.run.now
        wanted = row.status in CLAIMABLE and due and row.handler in served() and transition.run.status in _GOES_ON
        if wanted and leases.admits(row):
            transition.take(row)
    elif news.outcome is not None and _accepts(row, news.claim.row):
        row.status, row.attempt = NodeStatus.RUNNING, news.claim.row.attempt  # it may have been taken back
        for event in news.claim.told:
            transition.tell(event.type, row, **event.data)
        transition.bring(row, news.outcome)


def _accepts(row: NodeRow, claimed: NodeRow) -> bool:
    """Whether the result of a claim may still be written: nobody has claimed, cancelled or ended the node since.

    One that was taken back from this worker and that nobody else has claimed yet is still this worker's.
    """
    if row.fence == claimed.fence and row.worker == claimed.worker and row.status in _OPEN:
        return True
    landed = row.completed_fence == claimed.fence  # an earlier try of this very commit, whose answer was lost
    if not landed:
        log.info(
            "A late result was refused.",
            action="fenced",
            node=row.node,
            run_id=str(row.run_id),
            fence=claimed.fence,
        )
    return False


def _held(consequences: Consequences, leases: Leases) -> list[Claim]:
    claims = [Claim(row, consequences.version) for row in consequences.claimed if consequences.version]
    for claim in claims:
        leases.hold(claim.row)
    return claims


_GOES_ON = frozenset({RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING})
_OPEN = frozenset({NodeStatus.RUNNING, NodeStatus.QUEUED})

"""One try of a node by this process: claim it, execute it, bring the result."""

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from apps.common import failpoints
from apps.common.asyncio_loop import Cancelled
from apps.common.database import release_connection
from apps.common.errors import NotFound
from apps.workflows.engine.states import CLAIMABLE, NodeStatus
from apps.workflows.nodes.base import Failed, NodeError, Outcome
from apps.workflows.nodes.registry import WORK, names
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.attempt_context import AttemptContext
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.leases import Leases
from apps.workflows.services.raised import EXPECTED, error_of, internal_error
from apps.workflows.services.transition.transition import Consequences, Transition
from apps.workflows.store import progress
from apps.workflows.store.database import MANY_TRIES, TRANSIENT, transaction
from apps.workflows.store.rows import NodeRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A node run that is this process's to execute, and the version its run is pinned to."""

    row: NodeRow
    version: UUID


def work(node_run: UUID, leases: Leases) -> None:
    """Claims a node run and goes on through its run for as long as a next node is ready."""
    claim = take(node_run, leases)
    while claim is not None:
        claim = _see_through(claim, leases)


def _see_through(claim: Claim, leases: Leases) -> Claim | None:
    try:
        outcome = execute(claim, leases)
        failpoints.reach("before_complete")
        return _settler.settle(claim, outcome, leases)
    except BaseException:
        leases.let_go(claim.row)  # so that the recovery sees that nobody here works on it any more
        raise


def take(node_run: UUID, leases: Leases) -> Claim | None:
    """Claims a queued node run; None when it is gone, not due, another's, or was one that only decides."""
    with transaction() as tx:
        run = progress.run_of_node(tx, node_run)
    if run is None:
        return None

    def act(transition: Transition) -> None:
        transition.read([node_run])
        row = transition.rows[node_run]
        due = row.available_at is not None and row.available_at <= transition.run.now
        if row.status in CLAIMABLE and due and row.handler in names() and transition.run.status in _CLAIMS:
            transition.take(row)

    try:
        consequences = act_on_run(run, act, worker=leases.worker, go_on_with=leases.room(1), inline=True)
    except NotFound:
        return None
    claims = _claims(consequences, leases)
    return claims[0] if claims else None


_CLAIMS = ("pending", "running", "waiting")


def execute(claim: Claim, leases: Leases) -> Outcome | None:
    """What the node's handler gives; None when the attempt is no longer wanted."""
    row = claim.row
    compiled = compiled_version(claim.version)
    node = compiled.node(row.node)
    spec = node.body.spec if row.is_item and node.body else node.spec
    ctx = AttemptContext(row, leases)
    leases.watch(row, ctx)
    release_connection()
    try:
        return ctx.happened(spec) or WORK[row.handler].run(spec, ctx)
    except Cancelled as error:
        if ctx.overdue:
            return _timed_out(row)
        return None if ctx.cancelled else Failed(error_of(error))
    except BaseException as error:  # the edge between our process and the node's code
        if not isinstance(error, EXPECTED):
            log.warning("A node raised.", action="node_raised", node=row.node, run_id=str(row.run_id), exc_info=error)
        return Failed(error_of(error))
    finally:
        _flush(ctx)


def _flush(ctx: AttemptContext) -> None:
    """Writes the rest of what the node has told; losing that must not lose its result."""
    try:
        ctx.flush()
    except Exception:
        log.exception("The log of a node was not written.", action="flush_failed", node=ctx.node)


def _timed_out(row: NodeRow) -> Failed:
    return Failed(NodeError("timeout", f"The attempt took longer than {row.timeout:g} s.", retryable=True))


def _claims(consequences: Consequences, leases: Leases) -> list[Claim]:
    claims = [Claim(row, consequences.version) for row in consequences.claimed if consequences.version]
    for claim in claims:
        leases.hold(claim.row)
    return claims


@dataclass
class _Result:
    """A finished attempt on its way into the database."""

    claim: Claim
    outcome: Outcome | None
    done: threading.Event = field(default_factory=threading.Event)
    following: Claim | None = None
    error: BaseException | None = None


class _Settler:
    """Brings results; those of one run that wait at the same time go into one transaction.

    The first thread with a result for a run writes it; what arrives meanwhile waits and is written
    by the same thread together. So a wide map costs one commit for many items, and nobody waits
    for anybody when results come one by one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[UUID, list[_Result]] = defaultdict(list)
        self._busy: set[UUID] = set()

    def settle(self, claim: Claim, outcome: Outcome | None, leases: Leases) -> Claim | None:
        """Brings the result; gives the node run to go on with. Raises what the database raises."""
        result = _Result(claim, outcome)
        run = claim.row.run_id
        with self._lock:
            self._waiting[run].append(result)
            leads = run not in self._busy
            self._busy.add(run)
        if leads:
            self._lead(run, leases)
        else:
            release_connection()
            result.done.wait()
        leases.let_go(claim.row)
        if result.error is not None:
            raise result.error
        return result.following

    def _lead(self, run: UUID, leases: Leases) -> None:
        while results := self._next(run):
            try:
                self._bring(run, results, leases)
            except BaseException as error:  # noqa: BLE001 - handed to the thread whose result it was
                for result in results:
                    result.error = error
            for result in results:
                result.done.set()

    def _next(self, run: UUID) -> list[_Result]:
        with self._lock:
            if results := self._waiting.pop(run, []):
                return results
            self._busy.discard(run)
            return []

    def _bring(self, run: UUID, results: Sequence[_Result], leases: Leases) -> None:
        """Writes results together; where one of them meets a fault of ours, that one is its node's failure."""
        try:
            self._write(run, results, leases)
        except TRANSIENT:
            raise
        except Exception as error:
            log.exception("A result could not be written.", action="settling_failed", run_id=str(run))
            if len(results) > 1:
                for result in results:
                    self._bring(run, [result], leases)
            else:
                results[0].outcome = Failed(internal_error(error))
                self._write(run, results, leases)

    def _write(self, run: UUID, results: Sequence[_Result], leases: Leases) -> None:
        def act(transition: Transition) -> None:
            transition.read([result.claim.row.id for result in results])
            for result in results:
                row = transition.rows[result.claim.row.id]
                if result.outcome is not None and _accepts(row, result.claim.row):
                    _take_up(row, result.claim.row)
                    transition.bring(row, result.outcome)
            transition.work_in()

        room = leases.room(len(results))
        consequences = act_on_run(run, act, worker=leases.worker, go_on_with=room, inline=True, tries=MANY_TRIES)
        for result, claim in zip(results, _claims(consequences, leases), strict=False):
            result.following = claim


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


def _take_up(row: NodeRow, claimed: NodeRow) -> None:
    """Makes a node run that was taken back this attempt's again."""
    row.status, row.attempt = NodeStatus.RUNNING, claimed.attempt


_OPEN = frozenset({NodeStatus.RUNNING, NodeStatus.QUEUED})


_settler = _Settler()

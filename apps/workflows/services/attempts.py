"""One try of a node by this process: claim it, execute it, bring the result."""

from uuid import UUID

import structlog

from apps.common import failpoints
from apps.common.asyncio_loop import Cancelled
from apps.common.database import release_connection
from apps.workflows.nodes.base import Failed, NodeError, Outcome
from apps.workflows.nodes.registry import WORK
from apps.workflows.services.attempt_context import AttemptContext
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.leases import Leases
from apps.workflows.services.raised import EXPECTED, error_of
from apps.workflows.services.settler import Claim, News, Settler
from apps.workflows.store import progress
from apps.workflows.store.database import look
from apps.workflows.store.rows import NodeRow

log = structlog.get_logger(__name__)


def work(node_run: UUID, leases: Leases) -> None:
    """Claims a node run and goes on through its run for as long as a next node is ready."""
    go_on(take(node_run, leases), leases)


def go_on(claim: Claim | None, leases: Leases) -> None:
    """Executes a claimed node run, and what its result has this process go on with."""
    try:
        while claim is not None:
            claim = _see_through(claim, leases)
    finally:
        release_connection()  # a node that starts may have asked for an agent of its organization


def take(node_run: UUID, leases: Leases, *, run: UUID | None = None) -> Claim | None:
    """Claims a queued node run; None when it is gone, not due, another's, or was one that only decides."""
    if run is None:
        with look() as tx:
            run = progress.run_of_node(tx, node_run)
    return _settler.settle(News(run, node_run), leases) if run else None


def bring(claim: Claim, outcome: Outcome | None, leases: Leases) -> Claim | None:
    """Brings the result of a claim; gives the node run to go on with."""
    return _settler.settle(News(claim.row.run_id, claim.row.id, claim, outcome), leases)


def _see_through(claim: Claim, leases: Leases) -> Claim | None:
    try:
        outcome = execute(claim, leases)
        failpoints.reach("before_complete")
        return bring(claim, outcome, leases)
    except BaseException:
        leases.let_go(claim.row)  # so that the recovery sees that nobody here works on it any more
        raise


def execute(claim: Claim, leases: Leases) -> Outcome | None:
    """What the node's handler gives; None when the attempt is no longer wanted.

    What the node has told until then is left with the claim, to be written with its result.
    """
    row = claim.row
    compiled = compiled_version(claim.version)
    node = compiled.node(row.node)
    spec = node.body.spec if row.is_item and node.body else node.spec
    ctx = AttemptContext(row, leases)
    leases.watch(row, ctx)
    release_connection()
    try:
        outcome = ctx.happened(spec) or WORK[spec.type].run(spec, ctx)
        return ctx.deferral or outcome
    except Cancelled as error:
        if ctx.overdue:
            return _timed_out(row)
        return None if ctx.cancelled else Failed(error_of(error))
    except BaseException as error:  # the edge between our process and the node's code
        if ctx.deferral is not None:
            return ctx.deferral
        if not isinstance(error, EXPECTED):
            log.warning("A node raised.", action="node_raised", node=row.node, run_id=str(row.run_id), exc_info=error)
        return Failed(error_of(error))
    finally:
        claim.told.extend(ctx.told())
        _flush(ctx)
        release_connection()


def _flush(ctx: AttemptContext) -> None:
    """Writes the rest of the log; losing that must not lose the result."""
    try:
        ctx.flush()
    except Exception:
        log.exception("The log of a node was not written.", action="flush_failed", node=ctx.node)


def _timed_out(row: NodeRow) -> Failed:
    return Failed(NodeError("timeout", f"The attempt took longer than {row.timeout:g} s.", retryable=True))


_settler = Settler()

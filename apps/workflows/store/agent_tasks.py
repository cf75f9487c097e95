"""Questions about node runs and the tasks that agents outside have of them. Each takes a bounded batch."""

from dataclasses import dataclass
from uuid import UUID

from apps.agents.models.live import SILENT_INTERVALS
from apps.agents.selectors.live import LONGEST_POLL
from apps.workflows.store.database import Transaction
from apps.workflows.store.recovery import BATCH, Place

# A task that nobody holds is fetched by an instance that asks for tasks; who that is, `selectors.live` of the agents
# says. One that is sent its tasks needs the node to do that.
_FETCHED = """
select 1 from agents_agentinstance i
where i.organization_id = t.organization_id and i.endpoint = '' and i.mode = 'active' and i.state in ('idle', 'busy')
    and i.heartbeat_at > clock_timestamp() - make_interval(secs => %(silent)s * i.interval)
    and i.polled_at > clock_timestamp() - make_interval(secs => %(silent)s * i.interval + %(poll)s)
    and not i.id = any(t.refused_by)
    and case when t.capability = '' then t.agent in (i.agent, i.name) else t.capability = any(i.capability_names) end
"""
_NEWS = f"""
select n.id, n.run_id from workflows_noderun n
left join agents_agenttask t on t.id = (n.state::json ->> 'task')::uuid
where n.status = 'waiting' and n.waiting_for = 'agent' and (%(node_run)s::uuid is null or n.id = %(node_run)s)
    and (t.id is null or t.state in ('completed', 'failed', 'withdrawn')
        or t.state = 'queued' and (t.offered_until is null or t.offered_until < clock_timestamp())
            and not exists ({_FETCHED}))
limit %(limit)s
"""
# The number of the try that a node run is in, or that is its next, is what its claim makes of these figures.
_UNWANTED = """
select t.id as task, n.status <> 'cancelled' and coalesce(n.error::json ->> 'code', '') = 'timeout' as is_overdue
from agents_agenttask t join workflows_noderun n on n.id = t.node_run_id join workflows_run r on r.id = n.run_id
where t.state in ('queued', 'claimed') and (%(run)s::uuid is null or t.run_id = %(run)s)
    and (n.status in ('completed', 'failed', 'cancelled') or t.state = 'queued' and r.status = 'paused'
        or t.tries < coalesce((n.state::json ->> 'tries')::int, 0) + n.attempt
            + case when n.status in ('queued', 'retrying') then 1 else 0 end)
limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A task that no node waits for."""

    task: UUID
    is_overdue: bool  # the node has waited for as long as it may


def news(tx: Transaction, node_run: UUID | None = None) -> list[Place]:
    """Node runs that wait for an agent outside whose task has ended, or that nobody will fetch; one of them, or all."""
    bounds = {"silent": SILENT_INTERVALS, "poll": LONGEST_POLL.total_seconds(), "limit": BATCH}
    return [Place(row["id"], row["run_id"]) for row in tx.rows(_NEWS, node_run=node_run, **bounds)]


def unwanted(tx: Transaction, run: UUID | None = None) -> list[Unwanted]:
    """Open tasks whose node has ended or tries again, and those that nobody should begin as the run is paused."""
    return [Unwanted(**row) for row in tx.rows(_UNWANTED, run=run, limit=BATCH)]

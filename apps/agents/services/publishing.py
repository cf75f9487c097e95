"""What Redis knows of agents outside: a HASH with their facts and a SORTED SET with their load, for each organization.

Both are copies for whoever watches; PostgreSQL is the truth. They refill themselves: with each heartbeat, and all of
them in each round of the recovery.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.agents.models import AgentInstance
from apps.common import json, redis

KEPT_SECONDS = 3600  # of an organization from which nobody is heard any more


def instances_key(organization: UUID) -> str:
    """Give the name of the HASH: the facts of each instance as JSON, by its name."""
    return f"orchestra:agents:{organization}:instances"


def load_key(organization: UUID) -> str:
    """Give the name of the SORTED SET: each instance with how full it is, from 0 to 1."""
    return f"orchestra:agents:{organization}:load"


def publish(instances: Iterable[AgentInstance]) -> None:
    """Write what is known of living instances."""
    known = list(instances)
    if known:
        redis.ask(lambda client: _write(client, known))


def after_commit(instance: AgentInstance) -> None:
    """Write it when what was changed is committed."""
    transaction.on_commit(lambda: publish([instance]))


def withdraw(organization: UUID, names: Sequence[str]) -> None:
    """Take out those that are gone, when that is committed."""
    transaction.on_commit(lambda: redis.ask(lambda client: _remove(client, organization, names)))


def _write(client: Any, instances: Sequence[AgentInstance]) -> None:
    pipeline = client.pipeline(transaction=False)
    for one in instances:
        pipeline.hset(instances_key(one.organization_id), one.name, json.dumps(_facts(one)))
        pipeline.zadd(load_key(one.organization_id), {one.name: one.load / one.max_concurrency})
    for organization in {one.organization_id for one in instances}:
        pipeline.expire(instances_key(organization), KEPT_SECONDS)
        pipeline.expire(load_key(organization), KEPT_SECONDS)
    pipeline.execute()


def _remove(client: Any, organization: UUID, names: Sequence[str]) -> None:
    pipeline = client.pipeline(transaction=False)
    pipeline.hdel(instances_key(organization), *names)
    pipeline.zrem(load_key(organization), *names)
    pipeline.execute()


def _facts(instance: AgentInstance) -> dict[str, Any]:
    return {
        "id": str(instance.pk),
        "agent": instance.agent,
        "capabilities": instance.capability_names,
        "endpoint": instance.endpoint or None,
        "max_concurrency": instance.max_concurrency,
        "load": instance.load,
        "state": instance.state,
        "mode": instance.mode,
        "heartbeat_at": instance.heartbeat_at.isoformat(),
        "version": instance.version,
    }

"""Which agent each attempt got for a capability: read and written at every choice."""

from typing import Any
from uuid import UUID

from apps.common import json
from apps.common.database import first_row
from apps.common.ids import uuid7

_BEFORE = """
select coalesce(json_agg(json_build_array(attempt, chosen) order by id), '[]') from agents_agentdecision
where organization_id = %(organization)s and key = %(key)s
"""
_WRITE = """
insert into agents_agentdecision (id, organization_id, created_at, key, attempt, capability, chosen, reason, run_id,
    candidates)
values (%(id)s, %(organization)s, statement_timestamp(), %(key)s, %(attempt)s, %(capability)s, %(chosen)s, %(reason)s,
    %(run)s, %(candidates)s::jsonb)
on conflict (organization_id, key, attempt, chosen) do update set
    reason = excluded.reason, candidates = excluded.candidates
returning 1
"""


def before(organization: UUID, key: str) -> list[tuple[int, str]]:
    """Give the attempts of a visit so far and who was chosen for each, in the order of time."""
    row = first_row(_BEFORE, organization=organization, key=key)
    return [(attempt, chosen) for attempt, chosen in (row[0] if row else [])]


def write(organization: UUID, key: str, attempt: int, *, candidates: list[dict[str, Any]], **facts: Any) -> None:
    """Note who was chosen for an attempt, and the figures of everybody."""
    table = json.dumps(candidates).decode()
    first_row(_WRITE, id=uuid7(), organization=organization, key=key, attempt=attempt, candidates=table, **facts)

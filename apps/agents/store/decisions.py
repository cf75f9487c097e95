"""Which agent each attempt got for a capability: read and written at every choice."""

from typing import Any
from uuid import UUID

from apps.common import json
from apps.common.database import first_row
from apps.common.ids import uuid7

_BEFORE = """
select coalesce(json_object_agg(attempt, chosen), '{}') from agents_agentdecision
where organization_id = %(organization)s and key = %(key)s
"""
# Two attempts of one number are one that was given up for dead and the one after it: the last one counts.
_WRITE = """
insert into agents_agentdecision (id, organization_id, created_at, key, attempt, capability, chosen, reason, run_id,
    candidates)
values (%(id)s, %(organization)s, statement_timestamp(), %(key)s, %(attempt)s, %(capability)s, %(chosen)s, %(reason)s,
    %(run)s, %(candidates)s::jsonb)
on conflict (organization_id, key, attempt) do update set
    capability = excluded.capability, chosen = excluded.chosen, reason = excluded.reason,
    candidates = excluded.candidates
returning 1
"""


def before(organization: UUID, key: str) -> dict[int, str]:
    """Give who was chosen for each attempt of a visit so far, in their order."""
    row = first_row(_BEFORE, organization=organization, key=key)
    known = {int(attempt): chosen for attempt, chosen in (row[0] if row else {}).items()}
    return dict(sorted(known.items()))


def write(organization: UUID, key: str, attempt: int, *, candidates: list[dict[str, Any]], **facts: Any) -> None:
    """Note who was chosen for an attempt, and the figures of everybody."""
    table = json.dumps(candidates).decode()
    first_row(_WRITE, id=uuid7(), organization=organization, key=key, attempt=attempt, candidates=table, **facts)

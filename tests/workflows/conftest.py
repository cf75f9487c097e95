from collections.abc import Iterator

import pytest
from django.db import connection

from apps.accounts.models import Organization
from apps.workflows.engine.states import NODE_ENDED, NODE_TRANSITIONS, RUN_ENDED, RUN_TRANSITIONS
from tests.workflows.engine_room import EngineRoom
from tests.workflows.idle_transactions import Guard
from tests.workflows.probes import Probes, probes

# R2, held by the database while the tests run: a status follows another only where engine/states.py says so, and
# what has ended does not change.
_WATCH = """
create or replace function {table}_watch() returns trigger language plpgsql as $$
begin
    if old.status is distinct from new.status then
        if not (old.status || '>' || new.status) = any (array[{pairs}]) then
            raise exception '{table}: % may not become %', old.status, new.status;
        end if;
    elsif old.status = any (array[{ended}])
        and to_jsonb(old) - array[{beside}] is distinct from to_jsonb(new) - array[{beside}] then
        raise exception '{table}: ended as %, and changed: % -> %', old.status, to_jsonb(old), to_jsonb(new);
    end if;
    return new;
end $$;
create or replace trigger {table}_watched before update on {table} for each row execute function {table}_watch();
"""


@pytest.fixture(scope="session", autouse=True)
def watched_statuses(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> None:
    """Any change of a status that the table of states does not allow fails the statement that makes it."""
    tables = (("workflows_run", RUN_TRANSITIONS, RUN_ENDED), ("workflows_noderun", NODE_TRANSITIONS, NODE_ENDED))
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table, transitions, ended in tables:
            pairs = [f"{current}>{after}" for current, following in transitions.items() for after in following]
            beside = ["forked_from_id", "deadline_at"]  # of a run; the deadline is renewed just before it goes on
            quoted = {"pairs": pairs, "ended": sorted(ended), "beside": beside}
            lists = {name: ", ".join(f"'{value}'" for value in values) for name, values in quoted.items()}
            cursor.execute(_WATCH.format(table=table, **lists))


@pytest.fixture(autouse=True)
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    """Whatever waits for the network, a sleep or a process inside a transaction fails its test (D24)."""
    guard = Guard()
    guard.watch(monkeypatch)
    yield guard
    assert guard.seen == []


@pytest.fixture
def room(transactional_db: None, organization: Organization) -> Iterator[EngineRoom]:
    """The engine of Acme, with real commits; no fault of the engine itself may be among what happened."""
    room = EngineRoom(organization)
    yield room
    with connection.cursor() as cursor:
        cursor.execute("select error from workflows_noderun where error::json ->> 'code' = 'internal_error'")
        assert bool(faults := cursor.fetchall()) == room.expects_fault, faults


@pytest.fixture
def calls() -> Iterator[Probes]:
    """The probes, untouched; `calls[label] = behaviour` and `calls.calls[label]`."""
    probes.__init__()  # type: ignore[misc]
    yield probes
    probes.__init__()  # type: ignore[misc]

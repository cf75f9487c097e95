"""What is erased is gone everywhere, and what nobody uses leaves in time."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django_scopes import scope, scopes_disabled

from apps.agents.context import LocalContext
from apps.agents.memory import short_term
from apps.agents.memory.erasing import erase_sessions, forget_unused_sessions
from apps.agents.memory.turns import turns_after
from apps.agents.models import AgentSession, Memory, SessionTurn
from apps.common import redis
from apps.common.clock import now
from apps.integrations.language_models import Message
from apps.workflows.worker.runtime import WorkerRuntime

HELLO = Message(role="user", content="Hello")


def converse(organization: Any, key: str, *, unused_days: float = 0) -> AgentSession:
    ctx = LocalContext(organization.pk, agent="helper", session=key)
    ctx.session.add(HELLO)
    ctx.remember(f"{key} likes tea.")
    ctx.session.messages()
    with scope(organization=organization):
        AgentSession.objects.filter(key=key).update(last_used_at=now() - timedelta(days=unused_days))
        return AgentSession.objects.get(key=key)


def left() -> tuple[set[str], int, int]:
    with scopes_disabled():
        keys = set(AgentSession.objects.values_list("key", flat=True))
        return keys, SessionTurn.objects.count(), Memory.objects.count()


def test_an_erased_session_is_gone_from_postgres_and_redis(in_scope, django_capture_on_commit_callbacks):
    session, _ = converse(in_scope, "ada"), converse(in_scope, "bob")
    assert redis.client().exists(f"orchestra:session:{session.pk}")

    with django_capture_on_commit_callbacks(execute=True):
        assert erase_sessions(AgentSession.objects.filter(key="ada")) == 1

    assert left() == ({"bob"}, 1, 1)
    assert not redis.client().exists(f"orchestra:session:{session.pk}")


def test_what_a_reader_writes_too_late_does_not_come_back_into_redis(in_scope, monkeypatch):
    session = converse(in_scope, "ada")
    redis.client().flushall()
    rebuild = short_term.rebuild

    def erased_meanwhile(pk: Any, turns: Any) -> None:
        erase_sessions(AgentSession.objects.all())
        short_term.forget([pk])
        rebuild(pk, turns)

    monkeypatch.setattr(short_term, "rebuild", erased_meanwhile)
    assert [turn.message for turn in turns_after(session, 0)] == [HELLO]

    assert not redis.client().exists(f"orchestra:session:{session.pk}")


def test_a_session_that_was_erased_begins_anew(in_scope):
    converse(in_scope, "ada")
    erase_sessions(AgentSession.objects.all())

    session = converse(in_scope, "ada")

    assert session.last_seq == 1


def test_sessions_that_nobody_uses_leave_with_what_belongs_to_them(organization, other_organization):
    converse(organization, "old", unused_days=31)
    converse(organization, "new", unused_days=29)
    converse(other_organization, "theirs", unused_days=99)

    assert forget_unused_sessions(timedelta(days=30), dry_run=True) == 2
    assert left()[0] == {"old", "new", "theirs"}
    assert forget_unused_sessions(timedelta(days=30)) == 2
    assert left() == ({"new"}, 1, 1)


@pytest.mark.parametrize(("days", "stays"), [(30, False), (0, True)])
def test_the_worker_that_leads_forgets_them(organization, settings, days, stays):
    converse(organization, "old", unused_days=31)
    settings.ORCHESTRA_SESSION_DAYS, settings.ORCHESTRA_RETENTION_DAYS = days, 0
    worker = WorkerRuntime(slots=1)
    worker.liveness.leads = True

    worker._tidy()

    assert (left()[0] == {"old"}) == stays


def test_the_command_counts_sessions_before_it_deletes_them(organization, settings, capsys):
    converse(organization, "old", unused_days=31)
    settings.ORCHESTRA_SESSION_DAYS, settings.ORCHESTRA_RETENTION_DAYS = 30, 0

    call_command("retention", "--dry-run", "--json")
    assert '"sessions":1' in capsys.readouterr().out
    assert left()[0] == {"old"}

    call_command("retention")
    assert left() == (set(), 0, 0)

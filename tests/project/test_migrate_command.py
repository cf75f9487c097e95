"""`migrate`: nobody waits long behind it."""

from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.commands import migrate as django_migrate
from django.db import connection, transaction

from apps.workflows.store.database import connection_parameters
from orchestra.management.commands import migrate

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_lock_that_it_does_not_get_is_let_go_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    holder = psycopg.connect(**connection_parameters())
    holder.execute("lock table workflows_worker in access exclusive mode")
    tries: list[str] = []

    def alter(_self: Any, **_options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("show lock_timeout")
            tries.append(cursor.fetchone()[0])
            if len(tries) == 2:  # the one that was in the way is done
                holder.close()
            cursor.execute("set lock_timeout = '50ms'")
            cursor.execute("lock table workflows_worker")

    monkeypatch.setattr(django_migrate.Command, "handle", lambda self, **options: _in_one(alter, self, options))
    monkeypatch.setattr(migrate.time, "sleep", lambda _seconds: None)

    call_command("migrate", verbosity=0)

    assert tries == ["3s", "3s"]


def _in_one(act: Any, command: Any, options: dict[str, Any]) -> None:
    with transaction.atomic():
        act(command, **options)


def test_a_lock_that_is_never_free_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Any, **_options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("do $$ begin raise sqlstate '55P03'; end $$")

    monkeypatch.setattr(django_migrate.Command, "handle", refuse)
    monkeypatch.setattr(migrate.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(migrate, "TRIES", 3)

    with pytest.raises(migrate.OperationalError):
        call_command("migrate", verbosity=0)

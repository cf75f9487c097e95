"""After a test with real commits its rows are deleted: to truncate every table, as Django does, takes far longer."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import TransactionTestCase

# What `migrate` wrote stays. The locks wait, as those of truncating do, for whoever still writes for the last test: a
# row that came in between would refer to one that goes. Foreign keys are checked at the end, so any order is right.
_EMPTY = """
do $$
declare
    tables regclass[] := array(
        select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = current_schema()
        and tablename not in ('django_migrations', 'django_content_type', 'auth_permission') order by tablename);
    one regclass;
begin
    execute 'lock table ' || array_to_string(tables, ', ') || ' in exclusive mode';
    foreach one in array tables loop
        execute 'delete from ' || one;
    end loop;
end $$
"""


def pytest_configure(config: pytest.Config) -> None:
    """Have every test of a process leave its database so."""
    TransactionTestCase._fixture_teardown = _delete_rows


@pytest.fixture(scope="module")
def rows_stay(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """What the tests of a module and its fixtures commit is there for all of them, until the module ends."""
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: None)
        yield
        _delete_rows()
        connection.close()


def _delete_rows(_: object = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY)

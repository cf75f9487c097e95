"""After a test with real commits its rows are deleted: to truncate every table, as Django does, takes far longer."""

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


def _delete_rows(_: TransactionTestCase) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY)

"""Rows of runs in flight as a small JSON file, with the migrations that the tables were at."""

import json
from pathlib import Path
from typing import Any

from django.db import connection, transaction

PLACE = Path(__file__).parent
_NOT_OURS = ("django_", "auth_")
_MIGRATIONS = "select app, max(name) from django_migrations group by app order by app"


def dump() -> dict[str, Any]:
    """Everything that the tables hold now."""
    with connection.cursor() as cursor:
        cursor.execute(_MIGRATIONS)
        migrations = dict(cursor.fetchall())
        tables = sorted(connection.introspection.table_names(cursor))
        rows = {table: _rows(cursor, table) for table in tables if not table.startswith(_NOT_OURS)}
    return {"migrations": migrations, "tables": {table: found for table, found in rows.items() if found}}


def load(dumped: dict[str, Any]) -> None:
    """Fills empty tables that are at the dump's migrations; foreign keys are looked at in the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        for table, rows in dumped["tables"].items():
            columns = ", ".join(f'"{name}"' for name in rows[0])
            chosen = f"select {columns} from json_populate_recordset(null::{table}, %s)"  # noqa: S608
            cursor.execute(f"insert into {table} ({columns}) overriding system value {chosen}", [json.dumps(rows)])
            cursor.execute("select pg_get_serial_sequence(%s, 'id')", [table])
            if sequence := cursor.fetchone()[0]:
                cursor.execute(f"select setval(%s, (select max(id) from {table}))", [sequence])  # noqa: S608


def _rows(cursor: Any, table: str) -> list[dict[str, Any]]:
    cursor.execute(f"select row_to_json(t) from {table} t")  # noqa: S608
    return [row if isinstance(row, dict) else json.loads(row) for (row,) in cursor.fetchall()]


def write(dumped: dict[str, Any], path: Path) -> None:
    """One row on a line, so that it can be looked at."""
    facts = [f'"{name}": {json.dumps(dumped[name])},' for name in ("migrations", "expected", "finished")]
    tables = [
        f'"{table}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        for table, rows in dumped["tables"].items()
    ]
    path.write_text("\n".join(["{", *facts, '"tables": {', ",\n".join(tables), "}}"]) + "\n")

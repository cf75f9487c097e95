"""`data_validation`: which rows are as they should be, and these rows with real values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.agents.builtin.data_analyzer.cells import column_type, converted, is_missing
from apps.agents.builtin.data_analyzer.records import SURPLUS, Record, columns
from apps.common.json import JSON
from apps.common.json_schema import Checker

MOST_FAILURES_SHOWN = 100
LONGEST_MESSAGE = 300  # the checker repeats the value in it
FORMATS = ("date", "date-time")


@dataclass(frozen=True)
class Failure:
    """What is wrong with one cell."""

    row: int  # 1 is the first row of data
    column: str | None
    message: str


def check_rows(rows: list[Record], schema: dict[str, Any] | None) -> JSON:
    """Give the valid rows converted, what is wrong with the others, and the schema that was given or inferred."""
    names = columns(rows)
    kinds = {name: column_type([row.get(name) for row in rows]) for name in names}
    record_schema = _record_schema(schema) if schema is not None else None
    checker = Checker(record_schema) if record_schema is not None else None
    clean: list[Record] = []
    failures: list[Failure] = []
    for number, row in enumerate(rows, 1):
        if all(is_missing(cell) for cell in row.values()):
            continue  # an empty line says nothing
        checked, wrong = _check(number, row, record_schema, checker, kinds)
        clean += [] if wrong else [checked]
        failures += wrong
    return {
        "clean_data": clean,
        "valid": not failures,
        "row_count": len(rows),
        "clean_row_count": len(clean),
        "invalid_row_count": len({failure.row for failure in failures}),
        "invalid_rows": [vars(failure) for failure in failures[:MOST_FAILURES_SHOWN]],
        "schema": inferred_schema(rows, kinds) if schema is None else schema,
    }


def inferred_schema(rows: list[Record], kinds: dict[str, str]) -> dict[str, Any]:
    """Give the JSON Schema of one record, as the data shows it."""
    required = [name for name in kinds if rows and not any(is_missing(row.get(name)) for row in rows)]
    return {
        "type": "object",
        "properties": {name: _property(kind, optional=name not in required) for name, kind in kinds.items()},
        "required": required,
    }


def _check(
    number: int, row: Record, schema: dict[str, Any] | None, checker: Checker | None, kinds: dict[str, str]
) -> tuple[Record, list[Failure]]:
    if checker is None or schema is None:
        return _by_inferred_types(number, row, kinds)
    record = _coerced(row, schema.get("properties", {}))
    return record, [
        Failure(number, str(path[0]) if path else None, message[:LONGEST_MESSAGE])
        for path, message in checker.failures(record)
    ]


def _by_inferred_types(number: int, row: Record, kinds: dict[str, str]) -> tuple[Record, list[Failure]]:
    record: Record = {}
    failures: list[Failure] = []
    if SURPLUS in row:
        failures.append(Failure(number, None, f"has {len(row[SURPLUS])} more cells than the header"))
    for name, kind in kinds.items():
        try:
            record[name] = converted(row.get(name), kind)
        except ValueError as error:
            failures.append(Failure(number, name, str(error)))
    return record, failures


def _coerced(row: Record, properties: dict[str | None, Any]) -> Record:
    """Give the row with text read as what the schema wants; what cannot be read stays for the schema to refuse."""
    return {name: value for name, cell in row.items() for value in _read(cell, _wanted(properties.get(name)))}


def _read(cell: Any, wanted: set[str]) -> Iterator[Any]:
    if not isinstance(cell, str) or not wanted or "string" in wanted:
        yield cell
    elif is_missing(cell):
        if "null" in wanted:
            yield None  # an empty cell of a column that may be empty; else as if it were not there
    else:
        yield next((value for kind in sorted(wanted) for value in _as(cell, kind)), cell)


def _as(cell: str, kind: str) -> Iterator[Any]:
    try:
        yield converted(cell, kind)
    except ValueError:
        return


def _wanted(schema: Any) -> set[str]:
    kinds = schema.get("type", []) if isinstance(schema, dict) else []
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _record_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the schema of one row, also from one that describes the whole list."""
    items = schema.get("items")
    if schema.get("type") == "array" and isinstance(items, dict):
        kept = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
        return {**kept, **items}
    return schema


def _property(kind: str, *, optional: bool) -> dict[str, Any]:
    if kind in {"mixed", "empty"}:
        return {}
    name = "string" if kind in FORMATS else kind
    described: dict[str, Any] = {"type": [name, "null"] if optional else name}
    return {**described, "format": kind} if kind in FORMATS else described

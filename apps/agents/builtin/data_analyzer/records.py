"""Reading a table: a list of records or rows, columns, CSV text or JSON text."""

import csv
import io
import re
from typing import Any

from apps.common import json as strict_json
from apps.common.errors import DomainError, ErrorItem
from apps.common.json import JSON
from apps.common.validation import InvalidInput

MOST_ROWS = 100_000
MOST_COLUMNS = 1_000
DELIMITERS = ",;\t|"
VALUE = "value"  # the column of a plain list
SURPLUS = None  # the key for cells beyond the header; no column of JSON or CSV can have it

Record = dict[str | None, Any]


def records(table: JSON) -> list[Record]:
    """Give the rows as records, or raise InvalidInput that says what can be read."""
    rows = _from_text(table) if isinstance(table, str) else _from_json(table)
    if len(rows) > MOST_ROWS:
        raise unreadable(f"The data has {len(rows)} rows; at most {MOST_ROWS} are read.")
    if len(columns(rows)) > MOST_COLUMNS:
        raise unreadable(f"The data has {len(columns(rows))} columns; at most {MOST_COLUMNS} are read.")
    return rows


def columns(rows: list[Record]) -> list[str]:
    """Give the names of all columns, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row if name is not None))


def unreadable(message: str) -> InvalidInput:
    """Give the error for data that cannot be read as a table."""
    return InvalidInput(message, errors=[ErrorItem("/data", "unreadable_data", message)])


def _from_text(text: str) -> list[Record]:
    text = text.lstrip("\ufeff").strip()
    if text[:1] not in {"[", "{"}:
        return _from_csv(text)
    try:
        return _from_json(strict_json.loads(text))
    except DomainError as error:
        lines = text.splitlines()
        if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines if line.strip()):
            return _from_json_lines(lines)
        raise unreadable(f"The data looks like JSON, but cannot be read: {error.detail}") from None


def _from_json_lines(lines: list[str]) -> list[Record]:
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append(strict_json.loads(line))
            except DomainError as error:
                raise unreadable(f"Line {number} of the data is not JSON: {error.detail}") from None
    return _from_json(rows)


def _from_json(table: JSON) -> list[Record]:
    if isinstance(table, dict):
        if not table:
            return []
        return _from_columns(table) if _is_columns(table) else [dict(table)]
    if not isinstance(table, list):
        raise unreadable("The data has to be a list of records, an object of columns, CSV text or JSON text.")
    if table and all(isinstance(row, list) for row in table):
        return _from_rows(table)
    return [dict(row) if isinstance(row, dict) else {VALUE: row} for row in table]


def _is_columns(table: dict[str, Any]) -> bool:
    lengths = {len(column) if isinstance(column, list) else None for column in table.values()}
    return len(lengths) == 1 and None not in lengths


def _from_columns(table: dict[str, list[Any]]) -> list[Record]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def _from_rows(table: list[list[Any]]) -> list[Record]:
    names = set(filter(None, (cell for cell in table[0] if isinstance(cell, str))))
    has_header = len(table) > 1 and 0 < len(table[0]) == len(names)
    width = max(len(row) for row in table)
    header = table[0] if has_header else [f"column_{number}" for number in range(1, width + 1)]
    return [_record(header, row) for row in table[has_header:]]


def _from_csv(text: str) -> list[Record]:
    if not text:
        return []
    try:
        lines = [
            line for line in csv.reader(io.StringIO(text), delimiter=_delimiter(text), skipinitialspace=True) if line
        ]
    except csv.Error as error:
        raise unreadable(f"The data cannot be read as CSV: {error}.") from None
    header = _header(lines[0])
    return [_record(header, line) for line in lines[1:]]


def _delimiter(text: str) -> str:
    first = re.sub(r'"[^"]*"', "", text.split("\n", maxsplit=1)[0])
    return max(DELIMITERS, key=first.count)


def _header(cells: list[str]) -> list[str]:
    """Give each column a name of its own: an empty one its number, a second `x` becomes `x_2`."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = plain = cell.strip() or f"column_{number}"
        suffix = 2
        while name in names:
            name, suffix = f"{plain}_{suffix}", suffix + 1
        names.append(name)
    return names


def _record(header: list[str], cells: list[Any]) -> Record:
    row: Record = dict(zip(header, cells, strict=False))
    if len(cells) > len(header):
        row[SURPLUS] = cells[len(header) :]
    return row

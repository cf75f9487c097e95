"""What type a column has, and its cells as values of that type."""

import re
from collections import Counter
from datetime import date, datetime
from typing import Any

NULLS = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "#n/a", "-"})
INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})")  # no leading zeros: 007 and a postal code are no numbers
DECIMAL = re.compile(r"[+-]?(?:(?:0|[1-9]\d{0,300})(?:\.\d{1,300})?|\.\d{1,300})(?:[eE][+-]?\d{1,2})?")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d{1,300})?")
BOOLEANS = {"true": True, "false": False, "yes": True, "no": False}
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")
DECISIVE_SHARE = 2 / 3  # of the cells have to be of a type for the others to count as wrong
WIDER = {"integer": "number", "date": "date-time"}


def is_missing(cell: Any) -> bool:
    """Tell whether a cell is empty, or says so."""
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in NULLS)


def column_type(cells: list[Any]) -> str:
    """Give the type that the cells of a column have, or nearly all of them: else `string` or `mixed`."""
    kinds = Counter(kind_of(cell) for cell in cells if not is_missing(cell))
    if not kinds:
        return "empty"
    for narrow, wide in WIDER.items():
        if wide in kinds:
            kinds[wide] += kinds.pop(narrow, 0)
    kind, count = kinds.most_common(1)[0]
    if count >= kinds.total() * DECISIVE_SHARE:
        return kind
    return "mixed" if {"object", "array"} & kinds.keys() else "string"


def kind_of(cell: Any) -> str:
    """Give the narrowest type of one cell that is not missing."""
    return kind_of_text(cell.strip()) if isinstance(cell, str) else kind_of_value(cell)


def kind_of_value(cell: Any) -> str:
    """Give the type of a cell that is not text."""
    if isinstance(cell, bool):
        return "boolean"
    if isinstance(cell, int):
        return "integer"
    if isinstance(cell, float):
        return "number"
    return "array" if isinstance(cell, list) else "object"


def kind_of_text(text: str) -> str:
    """Give the type of the value that a text spells."""
    if INTEGER.fullmatch(text):
        return "integer"
    if DECIMAL.fullmatch(text) or THOUSANDS.fullmatch(text):
        return "number"
    if text.lower() in BOOLEANS:
        return "boolean"
    if ISO_DATE.fullmatch(text) and _parses(date, text):
        return "date"
    if ISO_TIME.fullmatch(text) and _parses(datetime, text):
        return "date-time"
    return "string"


def converted(cell: Any, kind: str) -> Any:
    """Give the cell as a value of this type, or raise ValueError; a missing one is None."""
    if is_missing(cell):
        return None
    text = cell.strip() if isinstance(cell, str) else cell
    if kind == "string":
        return text if isinstance(text, str) else _spelled(text)
    actual = kind_of(cell)
    if kind == "mixed" or (actual == kind and not isinstance(text, str)):
        return text
    if actual != kind and WIDER.get(actual) != kind:
        raise ValueError(f"{_shown(cell)} is not {ARTICLES.get(kind, kind)}")
    return _value(text, kind)


ARTICLES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date like 2024-12-31",
    "date-time": "a time like 2024-12-31T23:59:00",
    "object": "an object",
    "array": "a list",
    "empty": "empty",
}


def _value(text: Any, kind: str) -> Any:
    if not isinstance(text, str):
        return text  # a whole number among decimals stays one
    if kind == "integer":
        return int(text)
    if kind == "number":
        return int(text) if INTEGER.fullmatch(text) else float(text.replace(",", ""))
    return BOOLEANS[text.lower()] if kind == "boolean" else text


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        raise ValueError(f"{_shown(value)} is not text")
    return str(value)


def _shown(cell: Any) -> str:
    shown = repr(cell)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"  # noqa: PLR2004 - fits a line


def _parses(kind: type[date], text: str) -> bool:
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True

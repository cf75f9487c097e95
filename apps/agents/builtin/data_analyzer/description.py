"""`statistical_analysis`: each column in figures."""

import math
import statistics
from collections import Counter
from collections.abc import Callable
from typing import Any

from apps.agents.builtin.data_analyzer.cells import column_type, converted, is_missing
from apps.agents.builtin.data_analyzer.records import Record, columns
from apps.common.json import JSON, dumps

NUMBERS = ("integer", "number")
ORDERED = ("date", "date-time")


def describe_rows(rows: list[Record]) -> JSON:
    """Give the figures of every column, by its name."""
    return {
        "stats": {name: _describe([row.get(name) for row in rows]) for name in columns(rows)},
        "row_count": len(rows),
    }


def _describe(cells: list[Any]) -> dict[str, Any]:
    kind = column_type(cells)
    values, wrong = _values(cells, kind)
    described = {"type": kind, "count": len(values), "missing": sum(map(is_missing, cells))}
    if wrong:
        described["invalid"] = wrong
    if kind in NUMBERS:
        return described | _numbers(values)
    return described | _categories(values) | (_range(values) if kind in ORDERED else {})


def _values(cells: list[Any], kind: str) -> tuple[list[Any], int]:
    values, wrong = [], 0
    for cell in cells:
        if not is_missing(cell):
            try:
                values.append(converted(cell, kind))
            except ValueError:
                wrong += 1
    return values, wrong


def _numbers(values: list[float]) -> dict[str, Any]:
    return {
        "mean": _figure(statistics.fmean, values),
        "median": _figure(statistics.median, values),
        "stdev": _figure(statistics.stdev, values, at_least=2),
        "min": min(values),
        "max": max(values),
        "sum": _figure(math.fsum, values),
        "quartiles": _quartiles(values),
    }


def _figure(compute: Callable[[list[float]], float], values: list[float], at_least: int = 1) -> float | None:
    """Give the figure, or None where there are too few values or it is too large for a float."""
    if len(values) < at_least:
        return None
    try:
        figure = float(compute(values))
    except OverflowError:
        return None
    return round(figure, 10) if math.isfinite(figure) else None


def _quartiles(values: list[float]) -> list[float] | None:
    if len(values) < 2:  # noqa: PLR2004 - one value has no quarters
        return None
    cuts = statistics.quantiles(values, n=4, method="inclusive")
    return [round(cut, 10) for cut in cuts] if all(map(math.isfinite, cuts)) else None


def _categories(values: list[Any]) -> dict[str, Any]:
    counts = Counter(
        value if isinstance(value, str | bool | int | float) else dumps(value).decode() for value in values
    )
    top, often = counts.most_common(1)[0] if counts else (None, 0)
    return {"unique": len(counts), "top": top, "top_count": often}


def _range(values: list[str]) -> dict[str, Any]:
    return {"min": min(values), "max": max(values)} if values else {}

"""JSON values on their way into expressions and out of them."""

import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from apps.workflows.engine.errors import ExpressionError

MAX_MADE = 4_000_000  # bytes of JSON an expression may make


def plain(value: Any) -> Any:
    """The JSON value of what the evaluator made; raises ExpressionError."""
    try:
        made = orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:
        return _jsonable(value, _Budget(MAX_MADE))
    if len(made) > MAX_MADE:
        raise too_large_made()
    if b"null" in made:  # which is also how a number that is not finite is written
        _check_finite(value)
    return value


def as_text(value: Any) -> str:
    """A value inside a text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def too_large_made() -> ExpressionError:
    """The error of an expression that makes too much."""
    message = f"The expression makes a value of more than {MAX_MADE:,} bytes."
    return ExpressionError(message, code="expression_too_large", fix="Use a map node for large values.")


def longest(value: Any) -> int:
    """How many items the longest list or object in a value has."""
    most = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            part = list(part.values())
        if isinstance(part, list):
            most = max(most, len(part))
            waiting.extend(item for item in part if isinstance(item, list | Mapping))
    return most


def kind_of(value: Any) -> str:
    """What sort of value it is, in words."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "an object")


class _Budget:
    """Counts the bytes of a value while it is made plain, so that shared parts cannot multiply without end."""

    def __init__(self, size: int) -> None:
        self.left = size

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise too_large_made()


def _check_finite(value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ExpressionError("The expression makes a number that is not finite.") from None


def _jsonable(value: Any, budget: _Budget) -> Any:
    """`value` with CEL's own types made JSON."""
    budget.spend(8)
    if isinstance(value, list):
        return [_jsonable(item, budget) for item in value]
    if isinstance(value, Mapping):
        return {_key(key): _jsonable(item, budget) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return _scalar(value, budget)


def _scalar(value: Any, budget: _Budget) -> Any:
    if isinstance(value, str):
        budget.spend(len(value))
    elif isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("The expression makes a number that is not finite.")
    elif value is not None and not isinstance(value, bool | int | float):
        raise ExpressionError(f"The expression makes a {type(value).__name__}, which is not a JSON value.")
    return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ExpressionError("An object's keys are texts; string(x) makes one.")
    return key

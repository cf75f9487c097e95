"""Spans of time as people write them: `30s`, `1m30s`, `500ms`, `2h`, `1d`, or a number of seconds."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[dhms])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
LONGEST = 10 * 365 * 86_400.0  # ten years, so that a date never overflows


def parse_duration(value: Any) -> Any:
    """Seconds for `value`; anything that is not a duration's spelling is returned as it is."""
    if isinstance(value, bool):
        raise ValueError("true and false are no durations")
    if not isinstance(value, str):
        return value
    text = value.replace(" ", "")
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"'{value[:40]}' is not a duration; write for example 30s, 1m30s, 500ms, 2h or 1d")
    return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))


def format_duration(seconds: float) -> str | float:
    """The shortest spelling of a number of seconds, in one unit."""
    for unit, size in _UNITS.items():
        amount = round(seconds / size, 6)
        if amount >= 1 and amount == int(amount):
            return f"{int(amount)}{unit}"
    return seconds


Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=str | float),
    Field(ge=0, le=LONGEST, allow_inf_nan=False),
    PlainSerializer(format_duration, return_type=str | float),
]

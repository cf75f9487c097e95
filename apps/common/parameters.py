"""Query parameters: which ones an endpoint takes, of what kind; nothing else is let through."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request

from apps.common.errors import BadRequest, ErrorItem

MAX_PAGE = 200
DEFAULT_PAGE = 50
MOST_DIGITS = 18


@dataclass(frozen=True)
class Parameter:
    """One query parameter: how its text is read, and its JSON Schema for the documentation."""

    read: Callable[[str], Any]  # raises ValueError with what is allowed
    schema: Mapping[str, Any]
    description: str = ""
    default: Any = None
    many: bool = field(default=False)


def query_params(request: Request | HttpRequest, allowed: Mapping[str, Parameter]) -> dict[str, Any]:
    """Give the value of every allowed parameter, its default where it is not sent; any other raises BadRequest."""
    _refuse([_unknown(name, allowed) for name in request.GET if name not in allowed])
    return read_params(request, allowed)


def read_params(request: Request | HttpRequest, wanted: Mapping[str, Parameter]) -> dict[str, Any]:
    """Give the value of every wanted parameter, whatever else was sent; raises BadRequest for wrong values."""
    values: dict[str, Any] = {}
    faults = []
    for name, parameter in wanted.items():
        try:
            values[name] = _value(request, name, parameter)
        except ValueError as error:
            faults.append(ErrorItem(f"/query/{name}", "invalid_parameter", f"'{name}' {error}."))
    _refuse(faults)
    return values


def text(description: str = "", *, max_length: int = 200) -> Parameter:
    """Take any text up to a length."""

    def read(value: str) -> str:
        if len(value) > max_length or "\0" in value:
            raise ValueError(f"must be text of at most {max_length} characters")
        return value

    return Parameter(read, {"type": "string", "maxLength": max_length}, description)


def choice(*values: str, description: str = "", default: str | None = None) -> Parameter:
    """Take one of these values."""

    def read(value: str) -> str:
        if value not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return value

    return Parameter(read, {"type": "string", "enum": list(values)}, description, default)


def integer(minimum: int, maximum: int, *, description: str = "", default: int | None = None) -> Parameter:
    """Take a whole number within bounds."""

    def read(value: str) -> int:
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS and minimum <= int(value) <= maximum:
            return int(value)
        raise ValueError(f"must be a whole number from {minimum} to {maximum}")

    schema: dict[str, Any] = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return Parameter(read, schema if default is None else {**schema, "default": default}, description, default)


def number(minimum: float, maximum: float, *, description: str = "", default: float | None = None) -> Parameter:
    """Take a number within bounds."""

    def read(value: str) -> float:
        try:
            given = float(value)
        except ValueError:
            given = float("nan")
        if not minimum <= given <= maximum:  # also false for NaN
            raise ValueError(f"must be a number from {minimum:g} to {maximum:g}")
        return given

    schema: dict[str, Any] = {"type": "number", "minimum": minimum, "maximum": maximum}
    return Parameter(read, schema if default is None else {**schema, "default": default}, description, default)


def boolean(description: str = "", *, default: bool | None = None) -> Parameter:
    """Take true or false."""

    def read(value: str) -> bool:
        if value not in {"true", "false"}:
            raise ValueError("must be true or false")
        return value == "true"

    return Parameter(read, {"type": "boolean"}, description, default)


def timestamp(description: str = "") -> Parameter:
    """Take a time as RFC 3339; without an offset it is UTC."""

    def read(value: str) -> datetime:
        # A plus sign that was not escaped arrives as a space.
        try:
            moment = parse_datetime(value.replace(" ", "+") if "T" in value else value)
        except ValueError:
            moment = None
        if moment is None:
            raise ValueError("must be a time such as 2026-01-31T12:00:00Z")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    return Parameter(read, {"type": "string", "format": "date-time"}, description)


def many(parameter: Parameter) -> Parameter:
    """Take the parameter several times, or several values with commas between them; gives a list."""
    schema = {"type": "array", "items": dict(parameter.schema)}
    return replace(parameter, schema=schema, many=True, default=[])


# What every list takes; `paginate` says which values of `sort` there are.
LISTING: Mapping[str, Parameter] = {
    "limit": integer(1, MAX_PAGE, description="Items on one page.", default=DEFAULT_PAGE),
    "cursor": text("Where to go on: `next_cursor` of the page before.", max_length=2000),
    "sort": text("A field to sort by, `-` before it for descending order."),
}


def _refuse(faults: Sequence[ErrorItem]) -> None:
    if faults:
        detail = " ".join(f"{fault.message} {fault.fix or ''}".strip() for fault in faults)
        raise BadRequest(detail, code=faults[0].code, errors=faults)


def _value(request: Request | HttpRequest, name: str, parameter: Parameter) -> Any:
    sent = request.GET.getlist(name)
    if not sent:
        return parameter.default
    if parameter.many:
        return [parameter.read(value) for text_ in sent for value in text_.split(",")]
    if len(sent) > 1:
        raise ValueError("is given more than once")
    return parameter.read(sent[0])


def _unknown(name: str, allowed: Mapping[str, Parameter]) -> ErrorItem:
    close = get_close_matches(name, allowed, n=1)
    known = ", ".join(sorted(allowed))
    fix = f"Did you mean '{close[0]}'? " if close else ""
    fix += f"Allowed: {known}." if known else "This endpoint takes none."
    return ErrorItem(f"/query/{name[:100]}", "unknown_parameter", f"There is no parameter '{name[:100]}'.", fix)

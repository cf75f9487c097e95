"""JSON as Orchestra reads and writes it: strict on the way in, storable in PostgreSQL on the way out."""

import dataclasses
import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeAlias

import orjson
from django.utils.functional import Promise
from pydantic import BaseModel

from apps.common.errors import BadRequest, ErrorItem, TooLarge

JSON: TypeAlias = Any  # an object, list, string, number, boolean or None; its shape is checked where it is used

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
MAX_VALUES = 300_000  # separators, counted before anything is built
SMALLEST, LARGEST = -(2**63), 2**63 - 1

# What only a hostile or broken document contains; a document without any of these needs no second look.
_SUSPICIOUS = re.compile(r"\\u0000|\\u[dD][89a-fA-F]|[eE]\+?0*\d{3}|\d{19}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


class NotJson(ValueError):
    """A value that has no JSON form."""


def loads(document: bytes | str, *, max_bytes: int = MAX_BYTES) -> JSON:
    """Read one JSON document, or raise BadRequest or TooLarge that says what is wrong and where."""
    text = decoded(document, max_bytes=max_bytes)
    if text.count(",") > MAX_VALUES:
        raise TooLarge(f"The document holds more than {MAX_VALUES} values.", code="too_many_values")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"This is not JSON: {error.msg} at {place}.", code="invalid_json") from None
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:
        raise BadRequest(f"A number cannot be read: {error}.", code="invalid_number") from None
    if not _is_plain(text, value):
        _refuse_faults(value)
    return value


def dumps(value: JSON, *, indent: bool = False) -> bytes:
    """Write JSON that PostgreSQL stores: NUL and lone surrogates become U+FFFD; NaN and Infinity raise NotJson."""
    options = _OPTIONS | orjson.OPT_INDENT_2 if indent else _OPTIONS
    try:
        written = orjson.dumps(value, default=_plain, option=options)
    except TypeError as error:
        if "surrogates" not in str(error):
            raise NotJson(f"This has no JSON form: {error}.") from None
        written = orjson.dumps(_storable(value), default=_plain, option=options)
    if b"\\u0000" in written:
        written = orjson.dumps(_storable(value), default=_plain, option=options)
    if b"null" in written:  # orjson writes NaN and Infinity as null
        _refuse_non_finite(value)
    return written


def decoded(document: bytes | str, *, max_bytes: int) -> str:
    """Give the text of a document that came as UTF-8, or raise BadRequest or TooLarge."""
    if len(document) > max_bytes:
        raise TooLarge(f"The document has {len(document)} bytes; at most {max_bytes} are read.")
    if isinstance(document, str):
        return document
    try:
        return document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"Byte {error.start} of the document is not UTF-8.", code="invalid_utf8") from None


def too_deep(pointer: str = "", place: str = "") -> BadRequest:
    """Give the error for a document that is nested too deep."""
    message = f"The document is nested deeper than {MAX_DEPTH} levels{place}."
    return BadRequest(message, code="nested_too_deep", errors=[ErrorItem(pointer, "nested_too_deep", message)])


def pointer_to(*parts: str | int) -> str:
    """Give the JSON Pointer (RFC 6901) that leads through `parts`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


class _Doubled(dict[str, Any]):
    """An object in which a key was written twice; found again, with its place, by the second look."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    doubled, seen = _Doubled(value), set()
    doubled.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return doubled


def _refuse_constant(name: str) -> JSON:
    raise ValueError(f"{name} is not a JSON number")


def _is_plain(text: str, value: JSON) -> bool:
    """Tell, level by level and without recursion, whether a second look at every value can be spared."""
    depth, level = 0, [value]
    while level := [container for container in level if isinstance(container, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH or any(type(container) is _Doubled for container in level):
            return False
        level = [child for container in level for child in _children(container)]
    return _SUSPICIOUS.search(text) is None


def _children(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


_Path: TypeAlias = tuple["_Path", str | int] | None  # a linked list, so that a step down costs nothing


def _refuse_faults(root: JSON) -> None:
    """Raise for the first fault found, with the pointer to it."""
    stack: list[tuple[Any, _Path, int]] = [(root, None, 0)]
    while stack:
        value, path, depth = stack.pop()
        if fault := _fault(value, depth):
            code, message = fault
            pointer = pointer_to(*_parts(path))
            where = f" at {pointer}" if pointer else ""
            raise BadRequest(f"{message}{where}.", code=code, errors=[ErrorItem(pointer, code, f"{message}.")])
        if isinstance(value, dict | list):
            named = value.items() if isinstance(value, dict) else enumerate(value)
            stack += [(child, (path, key), depth + 1) for key, child in named if _may_be_at_fault(child)]


def _may_be_at_fault(value: Any) -> bool:
    # Most values of a large document are sound scalars: they are not worth an entry on the stack.
    kind = type(value)
    if kind is str:
        return _UNSTORABLE.search(value) is not None
    if kind is int or kind is float:
        return not SMALLEST <= value <= LARGEST
    return kind is not bool and value is not None


def _fault(value: Any, depth: int) -> tuple[str, str] | None:
    match value:
        case dict() | list() if depth >= MAX_DEPTH:
            return "nested_too_deep", f"The document is nested deeper than {MAX_DEPTH} levels"
        case _Doubled():
            return "duplicate_key", f"The key {_shown(value.key)} stands twice in one object"
        case dict():
            return next(filter(None, map(_text_fault, value)), None)
        case str():
            return _text_fault(value)
        case int() | float() if not SMALLEST <= value <= LARGEST:
            return _number_fault(value)
    return None


def _number_fault(number: float) -> tuple[str, str] | None:
    if isinstance(number, int):
        return "invalid_number", "The whole number does not fit into 64 bits"
    if not math.isfinite(number):
        return "invalid_number", "The number is too large"
    return None


def _text_fault(text: str) -> tuple[str, str] | None:
    if not (found := _UNSTORABLE.search(text)):
        return None
    if found.group() == "\0":
        return "nul_character", "The text holds a NUL character"
    return "lone_surrogate", "The text holds half of a surrogate pair"


def _parts(path: _Path) -> list[str | int]:
    parts: list[str | int] = []
    while path is not None:
        path, part = path
        parts.append(part)
    return parts[::-1]


def _shown(key: str) -> str:
    return "'" + _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", key[:60]) + "'"


def _plain(value: Any) -> JSON:
    """Give the JSON form of what orjson does not know."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Promise):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _storable(value: Any) -> JSON:
    """Give the value with U+FFFD in place of every character that PostgreSQL refuses."""
    match _unfolded(value):
        case str() as text:
            return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
        case dict() as fields:
            return {_storable(key): _storable(child) for key, child in fields.items()}
        case list() | tuple() as items:
            return [_storable(child) for child in items]
        case other:
            return other


def _refuse_non_finite(root: Any) -> None:
    stack = [root]
    while stack:
        match _unfolded(stack.pop()):
            case float() as number if not math.isfinite(number):
                raise NotJson(f"{number} has no JSON form.")
            case dict() as fields:
                stack += fields.values()
            case list() | tuple() as items:
                stack += items


def _unfolded(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value

"""How `demo/scripted` answers with JSON: a value for each part of the schema, by rules that are the same every time."""

from collections.abc import Iterator, Mapping
from typing import Any

from apps.common.json import JSON

DEEPEST = 6  # schemas may hold themselves
MOST_ITEMS = 20


def fitting(schema: Mapping[str, Any], texts: Iterator[str]) -> JSON:
    """Give a value that fits a simple schema: the first of what is allowed, true, 1, one item, and the texts in turn.

    What a schema asks for beyond that (a pattern, a condition) may not be met.
    """
    return _value(schema, texts, schema, 0)


def _value(part: Any, texts: Iterator[str], whole: Mapping[str, Any], depth: int) -> JSON:
    part = _resolved(part, whole, depth)
    for key in ("const", "default"):
        if key in part:
            return part[key]
    if part.get("enum"):
        return part["enum"][0]
    kind = _kind(part)
    if kind == "object":
        return _object(part, texts, whole, depth)
    if kind == "array":
        return _array(part, texts, whole, depth)
    return _plain(kind, part, texts)


def _plain(kind: str, part: Mapping[str, Any], texts: Iterator[str]) -> JSON:
    if kind in {"integer", "number"}:
        return _number(part)
    return {"boolean": True, "null": None}[kind] if kind in {"boolean", "null"} else _text(part, texts)


def _resolved(part: Any, whole: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """The part itself, where it points to another or names several."""
    for _ in range(DEEPEST):
        if not isinstance(part, dict) or depth > DEEPEST:
            return {"type": "null"} if depth > DEEPEST else {}
        if (way := part.get("$ref")) is not None:
            part = _found(whole, str(way))
        elif choices := part.get("anyOf") or part.get("oneOf") or part.get("allOf"):
            part = choices[0]
        else:
            return part
    return {}


def _found(whole: Mapping[str, Any], way: str) -> Any:
    place: Any = whole
    for name in way.removeprefix("#").strip("/").split("/"):
        place = place.get(name, {}) if isinstance(place, dict) and name else place
    return place


def _kind(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    return str(kind or ("object" if "properties" in part else "array" if "items" in part else "string"))


def _object(part: Mapping[str, Any], texts: Iterator[str], whole: Mapping[str, Any], depth: int) -> JSON:
    properties, required = part.get("properties", {}), part.get("required", [])
    names = required if depth >= DEEPEST - 1 else dict.fromkeys([*properties, *required])
    return {name: _value(properties.get(name, {}), texts, whole, depth + 1) for name in names}


def _array(part: Mapping[str, Any], texts: Iterator[str], whole: Mapping[str, Any], depth: int) -> JSON:
    count = min(max(1, part.get("minItems", 1)), MOST_ITEMS, part.get("maxItems", MOST_ITEMS))
    return [_value(part.get("items", {}), texts, whole, depth + 1) for _ in range(count)]


def _number(part: Mapping[str, Any]) -> JSON:
    least = part.get("minimum", part.get("exclusiveMinimum", 0) + 1)
    most = part.get("maximum", part.get("exclusiveMaximum", least + 2) - 1)
    number = min(max(1, least), most)
    return int(number) if _kind(part) == "integer" else number


def _text(part: Mapping[str, Any], texts: Iterator[str]) -> str:
    text = next(texts)
    shortest: int = part.get("minLength", 0)
    longest: int | None = part.get("maxLength")
    return text.ljust(shortest, ".")[:longest]

"""JSON Schemas for people: what a part of one means, in words, and all its fields as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from apps.common import json

Part: TypeAlias = Mapping[str, Any]

MOST_REFERENCES = 10  # that lead to one another
MOST_ROWS = 200
DEEPEST = 3  # levels that a table shows
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "null": "nothing",
    "object": "object",
    "array": "list",
}
_FORMATS = {"email": "e-mail address", "uri": "web address", "date": "date", "date-time": "date and time"}


@dataclass(frozen=True, slots=True)
class Row:
    """A field of a schema as a table shows it."""

    name: str
    words: str  # what it holds
    required: bool
    default: str | None
    description: str
    depth: int


def table(schema: Part) -> list[Row]:
    """Give the fields of an object's schema, those of nested objects below theirs."""
    return list(islice(_rows(schema, schema, 0), MOST_ROWS))


def resolved(part: Any, root: Part) -> Part:
    """Give a part with its references inside the schema followed, and without the null that only makes it optional."""
    known: Part = part if isinstance(part, dict) else {}
    for _ in range(MOST_REFERENCES):
        inner = _inner(known, root)
        if inner is None:
            return known
        known = {**inner, **{key: value for key, value in known.items() if key not in {"$ref", "anyOf", "allOf"}}}
    return {}


def properties(schema: Part, root: Part) -> dict[str, Part]:
    """Give the named parts of an object's schema."""
    found = schema.get("properties")
    return {name: resolved(part, root) for name, part in found.items()} if isinstance(found, dict) else {}


def required(schema: Part) -> frozenset[str]:
    """Give the names that an object has to have."""
    names = schema.get("required")
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def kind(part: Part) -> str:
    """Give the one type that a part has besides null; empty where it may be several."""
    found = part.get("type")
    types = [one for one in found if one != "null"] if isinstance(found, list) else [found]
    return types[0] if len(types) == 1 and isinstance(types[0], str) else ""


def choices(part: Part) -> Sequence[Any] | None:
    """Give the values among which a part chooses; None where it is open."""
    if isinstance(part.get("enum"), list):
        return [value for value in part["enum"] if value is not None]
    return [part["const"]] if "const" in part else None


def title(name: str, part: Part) -> str:
    """Give what a field is called."""
    return str(part.get("title") or name.replace("_", " ").capitalize())


def words(part: Part, root: Part) -> str:
    """Say what a part holds: `whole number, 1 to 100`, `one of low, high`, `list of text`."""
    options = choices(part)
    if options is not None:
        return f"one of {', '.join(map(plain, options))}"
    if isinstance(part.get("anyOf"), list):
        return " or ".join(dict.fromkeys(words(resolved(one, root), root) for one in part["anyOf"]))
    if kind(part) == "array":
        inner = resolved(part.get("items"), root)
        return f"list of {words(inner, root)}" if inner else "list"
    known = _FORMATS.get(str(part.get("format"))) or _WORDS.get(kind(part), "any JSON")
    return f"{known}{_bounds(part)}"


def plain(value: Any) -> str:
    """Write a value as people read it: text as it is, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value).decode()


def _inner(part: Part, root: Part) -> Part | None:
    """Give what a part stands for; None where it stands for itself."""
    if isinstance(part.get("$ref"), str):
        return _at(part["$ref"], root)
    for several in ("anyOf", "allOf"):
        found = part.get(several)
        others = [one for one in found if one != {"type": "null"}] if isinstance(found, list) else []
        if len(others) == 1 and isinstance(others[0], dict):
            return others[0]
    return None


def _at(pointer: str, root: Any) -> Part:
    if not pointer.startswith("#"):
        return {}
    for name in pointer.removeprefix("#").split("/")[1:]:
        root = root.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(root, dict) else None
    return root if isinstance(root, dict) else {}


def _rows(schema: Part, root: Part, depth: int) -> Iterator[Row]:
    needed = required(schema)
    for name, part in properties(schema, root).items():
        default = plain(part["default"]) if part.get("default") is not None else None
        yield Row(name, words(part, root), name in needed, default, str(part.get("description", "")), depth)
        inner = resolved(part.get("items"), root) if kind(part) == "array" else part
        if depth + 1 < DEEPEST:
            yield from _rows(inner, root, depth + 1)


def _bounds(part: Part) -> str:
    low = part.get("minimum", part.get("minLength"))
    high = part.get("maximum", part.get("maxLength"))
    unit = " characters" if kind(part) == "string" else ""
    if low is not None and high is not None:
        return f", {_figure(low)} to {_figure(high)}{unit}"
    if high is not None:
        return f", at most {_figure(high)}{unit}"
    return f", at least {_figure(low)}{unit}" if low is not None else ""


def _figure(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int | float) else str(number)


def sample(schema: Part) -> Any:
    """Give a value of the schema's shape to start from: its defaults and examples, and something short elsewhere."""
    root = resolved(schema, schema)
    if not isinstance(root.get("properties"), dict):
        return {}
    needed = required(root)
    return {name: _sample(part) for name, part in properties(root, schema).items() if name in needed}


def _sample(part: Part) -> Any:
    given = [part["default"]] if part.get("default") is not None else part.get("examples")
    options = choices(part)
    if isinstance(given, list) and given:
        return given[0]
    if options:
        return options[0]
    return {"string": "…", "integer": 1, "number": 1, "boolean": True, "array": []}.get(kind(part), {})

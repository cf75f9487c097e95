"""How much work a JSON Schema can make: references that meet again at one place of a value multiply without end."""

from collections.abc import Iterator
from typing import Any

MAX_WORK = 5_000  # parts of a schema that may be checked along one way down into a value
MAX_STEPS = 100_000
DEEPEST = 100  # of a value, as the parsers allow it

# Keywords whose schemas check the same place of a value, and those that check the places below it.
_HERE_ONE = ("not", "if", "then", "else")
_HERE_MANY = ("allOf", "anyOf", "oneOf")
_HERE_BY_NAME = ("dependentSchemas", "dependencies")
_BELOW_ONE = ("additionalProperties", "unevaluatedProperties", "propertyNames", "items", "unevaluatedItems", "contains")


class TooMuchWorkError(ValueError):
    """A schema that could keep a worker busy for ever."""


def check_work(schema: dict[str, Any]) -> None:
    """Raises TooMuchWorkError for a schema that no value may be checked against."""
    try:
        work = _Work(schema).of(schema, DEEPEST)
    except RecursionError:
        raise TooMuchWorkError("Its references lead on too far") from None
    if work > MAX_WORK:
        raise TooMuchWorkError("Its parts multiply: the same references meet again and again at one place of a value")


class _Work:
    """Counts the parts that are checked along the worst way down into a value, each (part, depth) once."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.known: dict[tuple[int, int], int] = {}
        self.inside: set[tuple[int, int]] = set()

    def of(self, schema: Any, depth: int) -> int:
        if not isinstance(schema, dict) or not depth:
            return 1
        key = id(schema), depth
        if key in self.inside:
            raise TooMuchWorkError("A reference leads back to itself at the same place of a value")
        if key not in self.known:
            self.inside.add(key)
            here = sum(self.of(part, depth) for part in self._here(schema))
            below = sum(max((self.of(part, depth - 1) for part in group), default=0) for group in _below(schema))
            self.known[key] = min(1 + here + below, MAX_WORK + 1)
            self.inside.discard(key)
            if len(self.known) > MAX_STEPS:
                raise TooMuchWorkError("It has too many parts that refer to each other")
        return self.known[key]

    def _here(self, schema: dict[str, Any]) -> Iterator[Any]:
        yield from (schema[word] for word in _HERE_ONE if word in schema)
        for word in _HERE_MANY:
            yield from _list(schema.get(word))
        for word in _HERE_BY_NAME:
            yield from _dict(schema.get(word)).values()
        if "$ref" in schema:
            yield self._target(schema["$ref"])
        if {"$dynamicRef", "$recursiveRef"} & schema.keys() or ("$id" in schema and schema is not self.root):
            raise TooMuchWorkError("Write references as '#/$defs/name'")

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise TooMuchWorkError(f"It refers to '{reference}'; write references as '#/$defs/name'")
        target: Any = self.root
        for part in reference.split("/")[1:]:
            target = _member(target, part.replace("~1", "/").replace("~0", "~"))
        return target


def _below(schema: dict[str, Any]) -> Iterator[list[Any]]:
    """Groups of schemas for the places below; of one group each place meets one at most."""
    yield list(_dict(schema.get("properties")).values())
    yield _list(schema.get("prefixItems"))
    for part in _dict(schema.get("patternProperties")).values():
        yield [part]
    for word in _BELOW_ONE:
        if word in schema:
            part = schema[word]
            yield part if isinstance(part, list) else [part]


def _member(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return value[int(name)] if name.isdecimal() and int(name) < len(value) else None
    return _dict(value).get(name)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

"""JSON Schemas that people write: compiled without any access to the network, and errors with a place."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

import jsonschema_rs
import orjson

from apps.workflows.engine.errors import Issue, did_you_mean, pointer, shorten
from apps.workflows.engine.schema_bounds import check_work

MAX_ISSUES = 20


class Validator(Protocol):
    """What a compiled schema can do."""

    def iter_errors(self, instance: Any) -> Iterator[jsonschema_rs.ValidationError]:
        """Everything wrong with the instance."""


class SchemaError(ValueError):
    """A schema that is none."""


def compile_schema(schema: dict[str, Any]) -> Validator:
    """A validator for a JSON Schema (draft 2020-12 unless it names another); raises SchemaError."""
    try:
        return _compile(orjson.dumps(schema))
    except TypeError as error:  # nested deeper than JSON is read
        raise SchemaError(str(error)) from None


def check(instance: Any, schema: dict[str, Any], where: str = "") -> list[Issue]:
    """What is wrong with `instance`, each issue with a JSON Pointer below `where`; at most MAX_ISSUES."""
    errors = islice(compile_schema(schema).iter_errors(instance), MAX_ISSUES)
    return [_issue(error, schema, where) for error in errors]


def with_defaults(instance: dict[str, Any], schema: dict[str, Any] | None) -> dict[str, Any]:
    """`instance` with the default of every property it leaves out."""
    properties = (schema or {}).get("properties")
    if not isinstance(properties, dict):
        return instance
    defaults = {
        name: part["default"] for name, part in properties.items() if isinstance(part, dict) and "default" in part
    }
    return {**defaults, **instance}


@lru_cache(maxsize=1_000)
def _compile(schema: bytes) -> Validator:
    document = orjson.loads(schema)
    try:
        check_work(document)
        return jsonschema_rs.validator_for(
            document,
            retriever=_refuse,
            # Linear time, and small: neither matching nor compiling a pattern can hold a worker.
            pattern_options=jsonschema_rs.RegexOptions(size_limit=1_000_000),
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaError(str(error).split("\n")[0]) from None


def _refuse(uri: str) -> Any:
    raise ValueError(f"A schema refers to '{uri}'; only references inside the schema itself are followed.")


def _issue(error: jsonschema_rs.ValidationError, schema: dict[str, Any], where: str) -> Issue:
    code = str(getattr(error.kind, "name", "invalid"))
    fix = None
    properties = schema.get("properties")
    if code == "additionalProperties" and isinstance(properties, dict) and not error.instance_path:
        unexpected = next(iter(getattr(error.kind, "unexpected", [])), "")
        fix = did_you_mean(unexpected, properties)
    return Issue(where + pointer(*error.instance_path), code, shorten(error.message.rstrip("."), 300) + ".", fix)

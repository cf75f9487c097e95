"""What a run is given, checked against what its workflow declares."""

from collections.abc import Mapping

from apps.common.errors import ErrorItem, Invalid
from apps.common.json import JSON
from apps.workflows.engine import schemas
from apps.workflows.engine.errors import Issue


def accepted_input(schema: dict[str, JSON] | None, given: Mapping[str, JSON]) -> dict[str, JSON]:
    """The input with the defaults of the schema; raises Invalid with a JSON Pointer to each place that does not fit."""
    completed, issues = checked_input(schema, given)
    if issues:
        items = [ErrorItem(issue.pointer, issue.code, issue.message, issue.fix) for issue in issues]
        first = issues[0]
        message = f"The input does not fit the workflow. {first.pointer}: {first.message}"
        raise Invalid(message, code="invalid_input", errors=items)
    return completed


def checked_input(schema: dict[str, JSON] | None, given: Mapping[str, JSON]) -> tuple[dict[str, JSON], list[Issue]]:
    """The input with the defaults of the schema, and what does not fit it."""
    completed = schemas.with_defaults(dict(given), schema)
    return completed, schemas.check(completed, schema, "/input") if schema else []

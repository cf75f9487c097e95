"""Pydantic's complaints as our errors: one sentence for people, one item with a pointer for each place."""

from collections.abc import Iterable

from pydantic import ValidationError

from apps.common.errors import ErrorItem, Fatal
from apps.common.json import pointer_to

MOST_FAILURES_LISTED = 20


class InvalidInput(Fatal):
    """What was given does not fit the schema; retrying cannot help. `errors` holds each place."""

    def __init__(self, message: str, *, errors: Iterable[ErrorItem] = ()) -> None:
        super().__init__(message, code="invalid_input")
        self.errors = tuple(errors)


def invalid_input(subject: str, error: ValidationError) -> InvalidInput:
    """Give the error that says which fields of the input are wrong and why."""
    return InvalidInput(describe_failure(f"The input of {subject} is invalid", error), errors=error_items(error))


def describe_failure(beginning: str, error: ValueError) -> str:
    """Give `<beginning>: <place>: <what is wrong>; …` without pydantic's banner and links."""
    if not isinstance(error, ValidationError):
        return f"{beginning}: {error}"
    items = error_items(error)
    return f"{beginning}: " + "; ".join(f"{_place(item)}{item.message}" for item in items) + "."


def error_items(error: ValidationError) -> list[ErrorItem]:
    """Give one ErrorItem for every failure, the place as a JSON Pointer."""
    failures = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        ErrorItem(pointer=pointer_to(*failure["loc"]), code=failure["type"], message=failure["msg"])
        for failure in failures[:MOST_FAILURES_LISTED]
    ]


def _place(item: ErrorItem) -> str:
    path = item.pointer.removeprefix("/").replace("/", ".").replace("~1", "/").replace("~0", "~")
    return f"'{path}': " if path else ""

"""Model fields of our own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
from django.db import models

from apps.common.json import JSON, dumps

if TYPE_CHECKING:  # to the type checker it takes and gives any JSON value, as Django's own field does
    _Base = models.JSONField
    _VectorBase = models.Field[Sequence[float], list[float]]
else:
    _Base = models.TextField
    _VectorBase = models.Field


class JSONTextField(_Base):
    """JSON kept as text: the order of an object's keys survives, and nothing is parsed until it is read."""

    def from_db_value(self, value: str | None, *_: Any) -> JSON:
        """Give the value as Python has it."""
        return None if value is None else orjson.loads(value)

    def get_prep_value(self, value: JSON) -> str | None:
        """Give the text to store."""
        return None if value is None else dumps(value).decode()


class VectorField(_VectorBase):
    """A pgvector column of so many numbers.

    Not pgvector's own field: this one is imported by every process, and needs nothing beside Django.
    """

    def __init__(self, dimensions: int, *args: Any, **options: Any) -> None:
        self.dimensions = dimensions
        super().__init__(*args, **options)

    def deconstruct(self) -> Any:
        """Give what a migration writes down."""
        name, path, args, options = super().deconstruct()
        return name, path, [self.dimensions, *args], options

    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django's signature
        """Name the type of the column."""
        return f"vector({self.dimensions})"

    def get_placeholder(self, *_: Any) -> str:
        """Give the place of a value in a statement."""
        return "%s::vector"

    def get_prep_value(self, value: Any) -> str | None:
        """Give the text that pgvector reads."""
        return None if value is None else vector_text(value)

    def from_db_value(self, value: str | None, *_: Any) -> list[float] | None:
        """Give the numbers."""
        return None if value is None else orjson.loads(value)


def vector_text(vector: Sequence[float]) -> str:
    """Give a vector as pgvector reads it."""
    return orjson.dumps(list(vector)).decode()

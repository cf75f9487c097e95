"""Model fields of our own."""

from typing import TYPE_CHECKING, Any

import orjson
from django.db import models

from apps.common.json import JSON, dumps

if TYPE_CHECKING:  # to the type checker it takes and gives any JSON value, as Django's own field does
    _Base = models.JSONField
else:
    _Base = models.TextField


class JSONTextField(_Base):
    """JSON kept as text: the order of an object's keys survives, and nothing is parsed until it is read."""

    def from_db_value(self, value: str | None, *_: Any) -> JSON:
        """Give the value as Python has it."""
        return None if value is None else orjson.loads(value)

    def get_prep_value(self, value: JSON) -> str | None:
        """Give the text to store."""
        return None if value is None else dumps(value).decode()

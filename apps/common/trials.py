"""Trying an agent or a tool from its page: the form, what came of it, and the same as a command."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from apps.common.errors import Invalid, Unavailable
from apps.common.json import JSON
from apps.common.outcomes import Outcome
from apps.common.schema_forms import Field, fields_of, read_value, without_prefix
from apps.common.schema_parts import Part, sample

INPUT_AT = "/input"  # where the services say the input stands


@dataclass(frozen=True, slots=True)
class Trial:
    """What the part of a page shows that tries something."""

    fields: list[Field]
    value: JSON  # what a call sends
    outcome: Outcome | None = None
    refused: str = ""

    @property
    def is_tried(self) -> bool:
        """Tell whether there is something to show."""
        return self.outcome is not None or bool(self.refused)


def trial(request: HttpRequest, schema: Part, call: Callable[[JSON], Outcome]) -> Trial:
    """Give the form; when it was sent, with what the call gave, or with what is wrong at each field."""
    if request.method != "POST":
        return Trial(fields_of(schema), sample(schema))
    try:
        value = read_value(schema, request.POST)
        return Trial(fields_of(schema, request.POST), value, call(value))
    except (Invalid, Unavailable) as refused:
        faults: Any = without_prefix(refused.errors, INPUT_AT)
        return Trial(fields_of(schema, request.POST, faults), sample(schema), refused=refused.detail)

"""JSON Schemas of users, applied safely: nothing is fetched, and no pattern can hold a thread."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from apps.common.errors import ErrorItem
from apps.common.json import JSON
from apps.common.validation import InvalidInput

MOST_FAILURES = 100


class Checker:
    """A compiled schema; making one raises InvalidInput when the schema itself is wrong."""

    def __init__(self, schema: dict[str, Any] | bool) -> None:
        try:
            # Without `offline` a "$ref" would be fetched from anywhere, also from files of this machine; the
            # default pattern engine backtracks, this one takes linear time.
            self._validator = jsonschema_rs.validator_for(
                schema, offline=True, pattern_options=jsonschema_rs.RegexOptions(size_limit=1_000_000)
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            message = f"The JSON Schema cannot be used: {str(error).splitlines()[0]}"
            raise InvalidInput(message, errors=[ErrorItem("/schema", "invalid_schema", message)]) from None

    def is_valid(self, value: JSON) -> bool:
        """Tell whether the value fits."""
        return bool(self._validator.is_valid(value))

    def failures(self, value: JSON) -> Iterator[tuple[list[str | int], str]]:
        """Give the path and the message of each place that does not fit, at most 100."""
        for number, error in enumerate(self._validator.iter_errors(value), 1):
            yield list(error.instance_path), error.message
            if number >= MOST_FAILURES:
                return

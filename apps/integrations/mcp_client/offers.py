"""What a server says of one of its tools, and the digest by which a change of that is seen."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from apps.common import json
from apps.common.json import JSON
from apps.common.json_schema import Checker
from apps.common.validation import InvalidInput

USABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
MOST_BYTES = 64 * 1024  # of one tool's description and schemas


@dataclass(frozen=True)
class Endpoint:
    """Where a server is, and what it is sent with every request."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Offer:
    """A tool as its server lists it."""

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None

    @property
    def pinned(self) -> dict[str, JSON]:
        """Give all that a person approves, and that must not change afterwards."""
        return {
            "description": self.description,
            "input_schema": self.input_schema,
            "output_schema": self.output_schema,
        }

    @property
    def digest(self) -> str:
        """Give the SHA-256 of what is pinned, in the order in which it came."""
        return hashlib.sha256(json.dumps(self.pinned)).hexdigest()

    @property
    def problem(self) -> str:
        """Say why the tool cannot be used; empty where it can."""
        if not USABLE_NAME.fullmatch(self.name):
            return "Its name must be 1 to 128 letters, digits, '_', '-' and '.'."
        if len(json.dumps(self.pinned)) > MOST_BYTES:
            return f"Its description and schemas are larger than {MOST_BYTES} bytes."
        try:
            for schema in (self.input_schema, self.output_schema or {}):
                Checker(schema)
        except InvalidInput as wrong:
            return wrong.message
        return ""


@dataclass(frozen=True)
class Result:
    """What a call of a tool has given."""

    output: JSON
    is_error: bool
    text: str

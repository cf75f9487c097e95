"""JSON that somebody gives on a command line."""

import sys
from pathlib import Path

from apps.common import json
from apps.common.errors import BadRequest
from apps.common.json import JSON


def read_document(argument: str) -> JSON:
    """Give the JSON that an argument is, or that the file `@name` holds, or for `-` what comes on standard input."""
    if argument == "-":
        return json.loads(sys.stdin.buffer.read())
    if not argument.startswith("@"):
        return json.loads(argument)
    try:
        return json.loads(Path(argument[1:]).read_bytes())
    except OSError as error:
        raise BadRequest(f"{argument[1:]} cannot be read: {error.strerror}.") from None

"""What the commands of workflows and runs understand on the command line."""

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from apps.common import json, yaml
from apps.common.clock import now
from apps.common.commands import Argument, argument
from apps.common.errors import BadRequest, DomainError
from apps.common.json import JSON
from apps.workflows.engine.durations import parse_duration


def seconds(text: str) -> float:
    """A time as people write it, in seconds; raises BadRequest."""
    try:
        return float(parse_duration(text))
    except ValueError as error:
        raise BadRequest(f"{error}.") from None


INPUT = (
    argument(
        "--input", action="append", default=[], metavar="K=V", help="a field of the input: text, JSON, or @FILE; again"
    ),
    argument("--input-file", metavar="FILE", help="the input as JSON or YAML; - for standard input"),
)
WAITING = (
    argument("--wait", action="store_true", help="wait for the end and print the output"),
    argument("--follow", action="store_true", help="show the nodes while they run, then print the output"),
    argument("--timeout", type=seconds, metavar="TIME", help="stop waiting after 30s, 5m, ..."),
)
IDEMPOTENCY_KEY = argument("--idempotency-key", metavar="KEY", help="the same key starts one run, for 24 hours")


def run_argument(**options: Any) -> Argument:
    """The argument that names a run."""
    return argument("run", metavar="RUN", help="its id, or a unique ending of it", **options)


def shortened(text: str, length: int) -> str:
    """The text on one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def since(text: str | None) -> datetime | None:
    """The moment that was so long ago."""
    return now() - timedelta(seconds=seconds(text)) if text else None


def read_text(path: str) -> str:
    """What a file holds, or for `-` what comes on standard input."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadRequest(f"{path} is not UTF-8 text.") from None


def parsed(text: str, path: str) -> tuple[JSON, str]:
    """The document in a text, and whether it is `json` or `yaml`."""
    kind = "json" if path.endswith(".json") or text.lstrip().startswith("{") else "yaml"
    try:
        return (json.loads(text), kind) if kind == "json" else (yaml.loads(text), kind)
    except DomainError as error:
        raise type(error)(f"{path}: {error.detail}", code=error.code, errors=error.errors) from None


def given_input(pairs: Iterable[str], path: str | None, schema: Mapping[str, Any] | None = None) -> dict[str, JSON]:
    """The input that --input-file and --input make together; a field that the schema calls a string stays text."""
    found: JSON = parsed(read_text(path), path)[0] if path else {}
    if not isinstance(found, dict):
        raise BadRequest(f"{path} does not hold an object.")
    properties = (schema or {}).get("properties", {})
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise BadRequest(f"'{pair[:80]}' is not of the form name=value.")
        found[name] = _value(text, properties.get(name))
    return found


def labels(pairs: Iterable[str]) -> dict[str, str]:
    """The labels that `key=value` or `key:value` arguments make."""
    found = {}
    for pair in pairs:
        key, separator, value = pair.replace("=", ":", 1).partition(":")
        if not separator or not key:
            raise BadRequest(f"'{pair[:80]}' is not of the form key=value.")
        found[key] = value
    return found


def _value(text: str, schema: Any) -> JSON:
    if text.startswith("@"):
        return read_text(text[1:])
    if isinstance(schema, Mapping) and schema.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except DomainError:
        return text

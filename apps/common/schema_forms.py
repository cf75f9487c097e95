"""Forms for JSON that a JSON Schema describes: what to ask for, and reading what a browser sends back.

The schema only shapes the form here; whoever takes the value checks it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from apps.common import json
from apps.common.errors import DomainError, ErrorItem, Invalid
from apps.common.json import JSON, pointer_to
from apps.common.schema_parts import Part, choices, kind, plain, properties, required, resolved, title, words

PREFIX = "value:"  # of the names in HTML, so that no property meets another field of the page
WHOLE = ""  # the name of the one field of a value that is not an object with known properties
LONG = 200  # characters from which on a text is written in several lines
LONG_NAMES = frozenset({"text", "body", "message", "prompt", "task", "instructions", "comment", "description"})
INPUT_TYPES = {"email": "email", "uri": "url", "date": "date"}
LIMITS = {
    "minimum": "min",
    "maximum": "max",
    "minLength": "minlength",
    "maxLength": "maxlength",
}
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Option:
    """One of the values among which a field chooses."""

    key: str  # its JSON
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Field:
    """What to ask for one property."""

    name: str
    kind: str  # text, long, lines, number, choice, several, flag or json
    label: str
    help: str
    required: bool
    shown: str  # what stands in it
    options: Sequence[Option]
    limits: Mapping[str, str]  # attributes that have the browser check it
    input_type: str
    errors: Sequence[str]

    @property
    def html_name(self) -> str:
        """Give the name under which a browser sends it."""
        return f"{PREFIX}{self.name}"

    @property
    def html_id(self) -> str:
        """Give the id of its element."""
        return f"value-{self.name}"


def fields_of(schema: Part, sent: QueryDict | None = None, faults: Iterable[ErrorItem] = ()) -> list[Field]:
    """Give the fields of a form: filled with what was sent, else with the schema's defaults.

    `faults` are shown at the fields that their pointers begin with.
    """
    messages = _by_name(faults)
    needed = required(schema)
    return [_field(name, part, name in needed, sent, messages) for name, part in _parts(schema).items()]


def read_value(schema: Part, sent: QueryDict) -> JSON:
    """Give the value that was filled in; raise Invalid for what is no number or no JSON, with its pointer."""
    value, faults, needed = {}, [], required(schema)
    for name, part in _parts(schema).items():
        try:
            found = _READERS[_kind(name, part)](part, sent.getlist(f"{PREFIX}{name}"), name in needed)
        except DomainError as wrong:
            faults.append(ErrorItem(pointer_to(name) if name else "", wrong.code, wrong.detail))
            continue
        if found is not _ABSENT:
            value[name] = found
    if faults:
        raise Invalid(faults[0].message, code="invalid_form", errors=faults)
    return value.get(WHOLE) if _is_whole(schema) else value


def without_prefix(faults: Iterable[ErrorItem], prefix: str) -> list[ErrorItem]:
    """Give faults with their pointers as seen from the value, where they stood below `prefix`."""
    return [ErrorItem(fault.pointer.removeprefix(prefix), fault.code, fault.message, fault.fix) for fault in faults]


def _is_whole(schema: Part) -> bool:
    return not isinstance(resolved(schema, schema).get("properties"), dict)


def _parts(schema: Part) -> dict[str, Part]:
    root = resolved(schema, schema)
    return {WHOLE: {**root, "title": "Input"}} if _is_whole(schema) else properties(root, schema)


def _kind(name: str, part: Part) -> str:
    if choices(part) is not None:
        return "choice"
    found = kind(part)
    if found == "array":
        inner = _items(part)
        return "several" if choices(inner) is not None else "lines" if kind(inner) == "string" else "json"
    if found == "string":
        length = part.get("maxLength")
        is_long = length > LONG if isinstance(length, int) else name.lower() in LONG_NAMES
        return "long" if is_long else "text"
    return {"integer": "number", "number": "number", "boolean": "flag"}.get(found, "json")


def _field(name: str, part: Part, needed: bool, sent: QueryDict | None, messages: Mapping[str, Sequence[str]]) -> Field:
    form = _kind(name, part)
    given = sent.getlist(f"{PREFIX}{name}") if sent is not None else _default(form, part)
    return Field(
        name=name,
        kind=form,
        label=title(name, part),
        help=str(part.get("description", "")),
        required=needed,
        shown=given[0] if given else "",
        options=[Option(key, label, key in given) for key, label in _options(form, part)],
        limits=_limits(form, part),
        input_type="number" if form == "number" else INPUT_TYPES.get(str(part.get("format")), "text"),
        errors=messages.get(name, ()),
    )


def _items(part: Part) -> Part:
    found = part.get("items")
    return found if isinstance(found, dict) else {}


def _options(form: str, part: Part) -> list[tuple[str, str]]:
    if form == "flag":
        return [("true", "Yes")]
    source = _items(part) if form == "several" else part
    return [(_key(value), plain(value)) for value in choices(source) or ()]


def _default(form: str, part: Part) -> list[str]:
    value = part.get("default", next(iter(part.get("examples") or ()), None))
    if value is None:
        return []
    match form:
        case "several":
            return [_key(one) for one in value] if isinstance(value, list) else []
        case "choice" | "flag":
            return [_key(value)]
        case "lines":
            return ["\n".join(map(str, value))] if isinstance(value, list) else []
        case "json":
            return [json.dumps(value, indent=True).decode()]
        case _:
            return [plain(value)]


def _limits(form: str, part: Part) -> dict[str, str]:
    if form not in {"text", "long", "number"}:
        return {}
    found = {html: str(part[key]) for key, html in LIMITS.items() if isinstance(part.get(key), int | float)}
    return {**found, "step": "1" if kind(part) == "integer" else "any"} if form == "number" else found


def _by_name(faults: Iterable[ErrorItem]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fault in faults:
        first = fault.pointer.removeprefix("/").split("/")[0].replace("~1", "/").replace("~0", "~")
        found.setdefault(first, []).append(fault.message)
    return found


def _key(value: JSON) -> str:
    return json.dumps(value).decode()


# ---- reading, by kind: what was sent -> the value, or _ABSENT --------------------------------------


def _read_text(_part: Part, sent: Sequence[str], needed: bool) -> JSON:
    text = sent[0].replace("\r\n", "\n") if sent else ""
    return text if text or needed else _ABSENT


def _read_lines(_part: Part, sent: Sequence[str], needed: bool) -> JSON:
    lines = [line.strip() for line in (sent[0] if sent else "").splitlines() if line.strip()]
    return lines if lines or needed else _ABSENT


def _read_number(part: Part, sent: Sequence[str], _needed: bool) -> JSON:
    text = sent[0].strip() if sent else ""
    if not text:
        return _ABSENT
    try:
        number = float(text)
        if kind(part) == "integer":
            return int(text)
    except ValueError:
        raise Invalid(f"This is not a {words({'type': kind(part)}, {})}.", code="not_a_number") from None
    if not math.isfinite(number):
        raise Invalid("This is not a number.", code="not_a_number")
    return number


def _read_choice(part: Part, sent: Sequence[str], _needed: bool) -> JSON:
    return _among(choices(part) or (), sent[0]) if sent and sent[0] else _ABSENT


def _read_several(part: Part, sent: Sequence[str], needed: bool) -> JSON:
    options = choices(_items(part)) or ()
    return [_among(options, key) for key in sent] if sent or needed or "default" in part else _ABSENT


def _among(options: Sequence[Any], key: str) -> JSON:
    found = [value for value in options if _key(value) == key]
    if not found:
        raise Invalid("This is not among the choices.", code="not_a_choice")
    return found[0]


def _read_flag(part: Part, sent: Sequence[str], needed: bool) -> JSON:
    if sent:
        return True
    return False if needed or part.get("default") is not None else _ABSENT


def _read_json(_part: Part, sent: Sequence[str], _needed: bool) -> JSON:
    text = sent[0].strip() if sent else ""
    return json.loads(text) if text else _ABSENT


_READERS: Mapping[str, Callable[[Part, Sequence[str], bool], JSON]] = {
    "text": _read_text,
    "long": _read_text,
    "lines": _read_lines,
    "number": _read_number,
    "choice": _read_choice,
    "several": _read_several,
    "flag": _read_flag,
    "json": _read_json,
}

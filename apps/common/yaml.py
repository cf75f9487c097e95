"""YAML as Orchestra reads and writes it: the scalars of YAML 1.2, so that `on:` is a key and no boolean.

Documents are composed from libyaml's events with a stack of our own: depth cannot crash the process, and what an
alias stands for is counted before it is built.
"""

import math
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from apps.common.errors import BadRequest, ErrorItem, TooLarge
from apps.common.json import JSON, LARGEST, MAX_DEPTH, SMALLEST, decoded, pointer_to, too_deep

MAX_BYTES = 4 * 1024 * 1024
MAX_VALUES = 100_000  # aliases counted as what they stand for
MAX_NUMBER_LENGTH = 400

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NON_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TAG_PREFIX = "tag:yaml.org,2002:"
_FOLDED_AWAY = re.compile("[\x85\u2028\u2029]")  # line breaks to YAML 1.1: only an escape keeps them
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def loads(document: bytes | str, *, max_bytes: int = MAX_BYTES) -> JSON:
    """Read one YAML document, or raise BadRequest or TooLarge that says what is wrong, with line and column."""
    text = decoded(document, max_bytes=max_bytes)
    try:
        return _Composer(_events(text)).document()
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        raise _refusal("invalid_yaml", f"This is not YAML: {error.problem or error.context}{place}.") from None
    except yaml.YAMLError as error:
        raise _refusal("invalid_yaml", f"This is not YAML: {str(error).splitlines()[0]}.") from None


def dumps(value: JSON) -> str:
    """Write YAML in block style: keys in their order, quotes only where needed, longer text as literal blocks."""
    return yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=math.inf,
    )


def _events(text: str) -> Iterator[Event]:
    # libyaml takes lone surrogates for a programming error and raises UnicodeEncodeError.
    if found := _UNSTORABLE.search(text):
        sentence = f"Character {found.start() + 1} is NUL or half of a surrogate pair."
        raise _refusal("invalid_character", sentence)
    return yaml.parse(text, Loader=yaml.CLoader)


class _Wrong(Exception):
    """What is wrong with the event at hand; its place is added where that is known."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Composer:
    """Builds the value from events; `open` holds the containers that are not finished."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.events = events
        self.open: list[_Container] = []
        self.anchors: dict[str, _Anchored] = {}
        self.documents = 0
        self.values = 0
        self.root: JSON = None

    def document(self) -> JSON:
        for event in self.events:
            if act := self.acts.get(type(event)):
                try:
                    act(self, event)
                except _Wrong as wrong:
                    sentence = f"{wrong}{_place(event.start_mark)}."
                    raise _refusal(wrong.code, sentence, self.pointer()) from None
        return self.root

    def start_document(self, _event: Event) -> None:
        self.documents += 1
        if self.documents > 1:
            raise _Wrong("multiple_documents", "There is more than one document")

    def scalar(self, event: ScalarEvent) -> None:
        self.count(1, event)
        if "\0" in event.value:
            raise _Wrong("nul_character", "The text holds a NUL character")
        if self.open and self.open[-1].expects_key:
            self.open[-1].take_key(event)
            return
        value = _scalar(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, values=1, height=0)
        self.add(value, height=0)

    def alias(self, event: AliasEvent) -> None:
        if self.expects_key:
            raise _Wrong("invalid_yaml", "An alias cannot be a key")
        if event.anchor is None or event.anchor not in self.anchors:
            raise _Wrong("invalid_yaml", f"The alias *{event.anchor} names nothing that is complete before it")
        anchored = self.anchors[event.anchor]
        self.count(anchored.values, event)
        if len(self.open) + anchored.height > MAX_DEPTH:
            raise too_deep(self.pointer(), _place(event.start_mark))
        self.add(deepcopy(anchored.value), anchored.height)

    def start(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        if self.expects_key:
            raise _Wrong("invalid_yaml", "Only a plain value can be a key")
        _check_tag(event, "map" if isinstance(event, MappingStartEvent) else "seq")
        if len(self.open) >= MAX_DEPTH:
            raise too_deep(self.pointer(), _place(event.start_mark))
        self.open.append(_Container(event, self.values))
        self.count(1, event)

    def end(self, _event: Event) -> None:
        finished = self.open.pop()
        if finished.event.anchor is not None:
            values = self.values - finished.values_before
            self.anchors[finished.event.anchor] = _Anchored(finished.value, values, finished.height)
        self.add(finished.value, finished.height)

    def add(self, value: JSON, height: int) -> None:
        if self.open:
            self.open[-1].add(value, height)
        else:
            self.root = value

    def count(self, values: int, event: Event) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            raise TooLarge(
                f"The document holds more than {MAX_VALUES} values{_place(event.start_mark)}, aliases counted as what "
                "they stand for.",
                code="too_many_values",
            )

    @property
    def expects_key(self) -> bool:
        return bool(self.open) and self.open[-1].expects_key

    def pointer(self) -> str:
        positions = (container.position for container in self.open)
        return pointer_to(*(position for position in positions if position is not None))

    acts: dict[type[Event], Callable[["_Composer", Any], None]] = {
        DocumentStartEvent: start_document,
        ScalarEvent: scalar,
        AliasEvent: alias,
        MappingStartEvent: start,
        SequenceStartEvent: start,
        MappingEndEvent: end,
        SequenceEndEvent: end,
    }


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A finished value that aliases stand for, with what it counts against the bounds each time."""

    value: JSON
    values: int
    height: int


class _Container:
    """A mapping or list that is being read."""

    def __init__(self, event: MappingStartEvent | SequenceStartEvent, values_before: int) -> None:
        self.event = event
        self.values_before = values_before
        self.value: Any = {} if isinstance(event, MappingStartEvent) else []
        self.key: str | None = None
        self.height = 1  # levels of containers, this one included

    @property
    def expects_key(self) -> bool:
        return self.key is None and isinstance(self.value, dict)

    @property
    def position(self) -> str | int | None:
        """Where in the container the next value goes; None before its key is read."""
        return len(self.value) if isinstance(self.value, list) else self.key

    def take_key(self, event: ScalarEvent) -> None:
        """Keep the key as it is written: JSON has no other keys than strings."""
        _check_tag(event, "str")
        self.key = key = str(event.value)
        if key == "<<" and event.implicit[0]:
            raise _Wrong("merge_key", "Merge keys (<<) are not part of YAML 1.2; write the keys out")
        if key in self.value:
            raise _Wrong("duplicate_key", f"The key '{key[:60]}' stands twice in one mapping")

    def add(self, value: JSON, height: int) -> None:
        self.height = max(self.height, height + 1)
        if isinstance(self.value, list):
            self.value.append(value)
        else:
            self.value[self.key] = value
            self.key = None


def _scalar(event: ScalarEvent) -> JSON:
    text = str(event.value)
    if event.tag is not None:
        _check_tag(event, "str", "int", "float", "bool", "null")
        return text if event.tag in {"!", f"{_TAG_PREFIX}str"} else _plain(text)
    return _plain(text) if event.implicit[0] else text  # else quoted, or a block


def _plain(text: str) -> JSON:
    """Give what a plain scalar means by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789" and len(text) <= MAX_NUMBER_LENGTH:
        return _number(text)
    return text


def _number(text: str) -> JSON:
    number: float
    if _WHOLE.fullmatch(text):
        number = int(text)
    elif _OTHER_BASE.fullmatch(text):
        number = int(text, 0)
    elif _DECIMAL.fullmatch(text):
        number = float(text)
    elif _NON_FINITE.fullmatch(text):
        number = math.inf
    else:
        return text
    if not math.isfinite(number) or (isinstance(number, int) and not SMALLEST <= number <= LARGEST):
        raise _Wrong("invalid_number", f"The number {text[:40]} is not allowed")
    return number


def _check_tag(event: Any, *allowed: str) -> None:
    if event.tag is not None and event.tag != "!" and event.tag.removeprefix(_TAG_PREFIX) not in allowed:
        raise _Wrong("unknown_tag", f"The tag {event.tag[:60]} has no meaning here")


def _refusal(code: str, sentence: str, pointer: str = "") -> BadRequest:
    return BadRequest(sentence, code=code, errors=[ErrorItem(pointer, code, sentence)])


def _place(mark: Any) -> str:
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


class _Dumper(yaml.SafeDumper):
    """Writes the same value the same way always, and lists indented under their key."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's name
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's name
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _FOLDED_AWAY.search(text):
        style = '"'
    return dumper.represent_scalar(f"{_TAG_PREFIX}str", text, style=style)


_Dumper.add_representer(str, _text)
for _tag, _pattern, _first in (
    ("null", re.compile("(?:~|null|Null|NULL)?"), ["~", "n", "N", ""]),
    ("bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF")),
    ("int", re.compile(f"{_WHOLE.pattern}|{_OTHER_BASE.pattern}"), list("-+0123456789")),
    ("float", re.compile(f"{_DECIMAL.pattern}|{_NON_FINITE.pattern}"), list("-+.0123456789")),
    ("merge", re.compile("<<"), ["<"]),
):
    # Resolvers are matched, not fullmatched: the pattern has to end by itself.
    _Dumper.add_implicit_resolver(_TAG_PREFIX + _tag, re.compile(f"(?:{_pattern.pattern})$"), _first)

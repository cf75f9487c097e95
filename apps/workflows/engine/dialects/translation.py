"""What the dialects share: the canonical document, where each part of it came from, and ids made of names."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from apps.workflows.engine.errors import DefinitionError, Issue, did_you_mean, pointer
from apps.workflows.engine.spec import MAX_EDGES, MAX_NODES, too_many
from apps.workflows.engine.validation import MAX_ISSUES, validated

M = TypeVar("M", bound=BaseModel)

_NODE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_FIELD = frozenset({"true", "false", "null", "in"})  # words that CEL reads as something else after a dot


@dataclass(frozen=True)
class Translation:
    """A document in canonical form that was made from another."""

    source: Any
    document: dict[str, Any]
    origins: Mapping[str, str] = field(default_factory=dict)  # pointers into `document` and the same into `source`

    def relocate(self, issue: Issue) -> Issue:
        """The same issue, its pointer leading into the source as far as that goes."""
        parts = issue.pointer.split("/")
        for length in range(len(parts), 0, -1):
            above = "/".join(parts[:length])
            if above in self.origins or not above:
                origin = self.origins.get(above, "")
                return replace(issue, pointer=self._existing([*origin.split("/")[1:], *parts[length:]]))
        return issue

    def _existing(self, parts: Sequence[str]) -> str:
        """A pointer along `parts`, as far as the source has them."""
        value, way = self.source, ""
        for part in parts:
            if (value := _member(value, part)) is None:
                break
            way += f"/{part}"
        return way


def parsed(model: type[M], document: Any) -> M:
    """The dialect's model of a document; raises DefinitionError."""
    issues: list[Issue] = []
    shape = validated(model, document, "", issues)
    if shape is None:
        raise DefinitionError(issues)
    return shape


def check_size(document: Any, things: str) -> None:
    """Raises DefinitionError before anything looks at each of too many parts."""
    parts = document.get(things)
    if isinstance(parts, list | Mapping) and len(parts) > MAX_NODES:
        raise DefinitionError([too_many(pointer(things), things, len(parts), MAX_NODES)])


def check_edges(count: int, where: str) -> None:
    """Raises DefinitionError before too many edges are made."""
    if count > MAX_EDGES:
        raise DefinitionError([too_many(where, "edges", count, MAX_EDGES)])


def stop_on(issues: Sequence[Issue]) -> None:
    """Raises DefinitionError when there are issues."""
    if issues:
        raise DefinitionError(issues[:MAX_ISSUES])


def unknown(where: str, kind: str, name: str, known: Collection[str]) -> Issue:
    """The issue of a name that nothing has."""
    return Issue(where, f"unknown_{kind}", f"There is no {kind} '{name}'.", did_you_mean(name, known))


def node_ids(names: Sequence[str], fallback: str) -> list[str]:
    """A node id for each name: the name itself where it can be one, else one that looks like it."""
    ids = {name: name for name in names if _NODE_ID.fullmatch(name)}
    taken = set(ids)
    numbers: Counter[str] = Counter()
    for name in names:
        if name not in ids:
            alike = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:100] or fallback
            numbers[alike] += 1
            ids[name] = unused_id(alike, taken, numbers[alike])
            taken.add(ids[name])
    return [ids[name] for name in names]


def unused_id(wanted: str, taken: Collection[str], number: int = 1) -> str:
    """`wanted`, with a number behind it where that is taken or `number` is not 1."""
    name = wanted if number == 1 else f"{wanted}_{number}"
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def titled(node: dict[str, Any], node_id: str, name: str) -> dict[str, Any]:
    """The node, showing its name where its id is another."""
    return node if node_id == name else {"type": node["type"], "title": name[:200], **node}


def member(root: str, name: str, *, optional: bool = False) -> str:
    """The expression that reads a field; an optional one gives an optional value."""
    mark = "?" if optional else ""
    if _FIELD.fullmatch(name) and name not in _NO_FIELD:
        return f"{root}.{mark}{name}"
    return f"{root}[{mark}{quoted(name)}]"


def quoted(text: str) -> str:
    """A text as expressions write it."""
    return json.dumps(text, ensure_ascii=False)


def template(expression: str) -> str:
    """The value that is one expression."""
    return f"{{{{ {expression} }}}}"


def without_empty(document: Mapping[str, Any], keep: Iterable[str] = ()) -> dict[str, Any]:
    """The document without what is None or empty."""
    return {key: value for key, value in document.items() if value or key in keep}


def _member(value: Any, part: str) -> Any:
    name = part.replace("~1", "/").replace("~0", "~")
    if isinstance(value, list):
        return value[int(name)] if name.isdecimal() and int(name) < len(value) else None
    return value.get(name) if isinstance(value, Mapping) else None

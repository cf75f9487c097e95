"""What can be wrong with a definition, an expression or a run, as data."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

_SHOWN = 8  # names in a list of what exists
_COMPARED = 64  # characters of a name, and names: comparing is slow, and a document may hold thousands of long ones


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with a document: where, what, and how to mend it."""

    pointer: str  # a JSON Pointer (RFC 6901) into the document
    code: str
    message: str
    fix: str | None = None


class DefinitionError(Exception):
    """A document that cannot become a graph; carries every issue found."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        self.issues = tuple(issues)
        super().__init__("; ".join(f"{issue.pointer}: {issue.message}" for issue in self.issues))


class ExpressionError(Exception):
    """An expression that does not compile or has no value; says why."""

    def __init__(self, message: str, *, code: str = "expression_error", fix: str | None = None) -> None:
        self.code = code
        self.message = message
        self.fix = fix
        super().__init__(message)


class LoopLimitError(Exception):
    """An edge that closes a cycle was taken more often than its safety bound allows."""

    def __init__(self, source: str, target: str, bound: int) -> None:
        super().__init__(
            f"The edge from '{source}' to '{target}' closes a cycle and has been taken {bound} times, "
            "its safety bound. Give the edge a 'max' of its own if more turns are wanted."
        )


def pointer(*parts: str | int) -> str:
    """The JSON Pointer that leads through `parts`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was most likely meant to be, or None."""
    if len(name) > _COMPARED:
        return None
    candidates = [known_name for known_name in known if len(known_name) <= 2 * _COMPARED]
    if len(candidates) > _COMPARED:
        candidates = _neighbours(name, candidates)
    matches = get_close_matches(name, candidates, n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: str, known: Iterable[str], *, none: str = "none") -> str:
    """A fix for an unknown name: the nearest one, or a short list of what exists."""
    names = sorted(known)
    if close := nearest(name, names):
        return f"Did you mean '{close}'?"
    shown = ", ".join(f"'{known_name}'" for known_name in names[:_SHOWN])
    return f"Known: {shown or none}{', …' if len(names) > _SHOWN else ''}."


def shorten(text: str, length: int = 80) -> str:
    """The text, or its beginning where it is longer than `length`."""
    return text if len(text) <= length else text[: length - 3] + "..."


def _neighbours(name: str, known: Iterable[str]) -> list[str]:
    """Those of many names that share the longest beginnings and the longest endings with `name`."""
    forwards = _around(name, sorted(known))
    backwards = _around(name[::-1], sorted(known_name[::-1] for known_name in known))
    return list(dict.fromkeys([*forwards, *(reverse[::-1] for reverse in backwards)]))


def _around(name: str, names: list[str]) -> list[str]:
    place = bisect_left(names, name)
    return names[max(place - _COMPARED // 4, 0) : place + _COMPARED // 4]

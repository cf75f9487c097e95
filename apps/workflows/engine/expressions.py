"""Expressions: CEL (Common Expression Language), compiled, checked and bounded.

What keeps an expression from holding a worker: its length and nesting, the size of what it reads, the
number and length of its loops (the evaluator's cost is quadratic in the length of a list it maps over),
and the size of what it can make, worked out before it is evaluated.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from cel_expr_python import cel

from apps.workflows.engine import cel_ast
from apps.workflows.engine.cel_ast import Tree
from apps.workflows.engine.cel_functions import DIRECT, FUNCTIONS, MAX_PARTS, environment
from apps.workflows.engine.cel_optionals import has_stray_optional
from apps.workflows.engine.cel_size import largest
from apps.workflows.engine.cel_values import MAX_MADE, kind_of, longest, plain, too_large_made
from apps.workflows.engine.errors import ExpressionError, did_you_mean, nearest

MAX_LENGTH = 4_000  # characters of an expression
MAX_LOOPS = 4  # map, filter, all, exists ... in one expression
MAX_LOOP_LIST = 1_000  # items of a list that an expression with loops may see; nested loops may see fewer
MAX_SEEN = 1_000_000  # bytes of JSON an expression may see

ROOTS = frozenset({"inputs", "context", "nodes", "run"})
_PATH = re.compile(r"""[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[(?:"[^"\\]*"|'[^'\\]*')\])*""")
_PATH_PART = re.compile(r"""[A-Za-z_]\w*|"[^"]*"|'[^']*'""")
_RESERVED = frozenset({"true", "false", "null", "in"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A name an expression reads: a root and the fields below it, as far as they are written out."""

    path: tuple[str, ...]
    lenient: bool = False  # inside has() or .?, where a missing name is allowed


@dataclass(frozen=True, slots=True)
class Loops:
    """What the loops of an expression (map, filter, all, exists) may be given."""

    count: int
    longest: int  # the list that it may see at most
    turns: int  # of one loop for each item it sees, because lists are added up or written out


@dataclass(frozen=True, eq=False)
class Expression:
    """A compiled expression."""

    text: str
    references: tuple[Reference, ...]
    _program: "_Program | _DirectCall | None" = None  # None for a plain path, which needs no evaluator

    @property
    def is_plain(self) -> bool:
        """Whether it only names a value."""
        return self._program is None

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """The value (plain JSON) of the expression over `scope`; raises ExpressionError."""
        if self._program is None:
            return _follow(self.references[0].path, scope)
        if isinstance(self._program, _DirectCall):
            return self._program.evaluate(scope)
        return self._program.evaluate(_only(self.references, scope))


@dataclass(frozen=True, eq=False, slots=True)
class _DirectCall:
    """A function of ours that is given plain paths: it is called without the evaluator.

    Not only is that faster: cel-expr-python 0.1.3 never frees what it gives to a Python function, which
    here is often the largest value of a run.
    """

    function: Callable[..., Any]
    paths: Sequence[Sequence[str]]

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        values = [_follow(path, scope) for path in self.paths]
        try:
            return self.function(*values)
        except (ValueError, TypeError) as error:
            raise ExpressionError(_readable(str(error))) from None


@dataclass(frozen=True, eq=False, slots=True)
class _Program:
    """What the evaluator runs, and how far it may go."""

    compiled: "cel.Expression"
    tree: Tree
    loops: Loops | None
    parts: int

    def evaluate(self, seen: Mapping[str, Any]) -> Any:
        self._check(seen)
        try:
            value = self.compiled.eval(data=seen)
            if value.type() == cel.Type.ERROR:
                raise ExpressionError(_readable(str(value.value())))
            return plain(value.plain_value())
        except RuntimeError as error:
            raise ExpressionError(_readable(str(error))) from None

    def _check(self, seen: Mapping[str, Any]) -> None:
        size = _size(seen)
        if size > MAX_SEEN:
            message = f"The expression reads {size:,} bytes; at most {MAX_SEEN:,} are allowed."
            fix = "Take the value whole ({{ a.b }}), or use a map node."
            raise ExpressionError(message, code="expression_too_large", fix=fix)
        items = longest(seen) if self.loops else 1
        if self.loops and items > self.loops.longest:
            message = f"The expression loops over {items:,} items; at most {self.loops.longest:,} are allowed."
            raise ExpressionError(message, code="expression_too_large", fix="Use a map node for long lists.")
        self._check_made(seen, size, items)

    def _check_made(self, seen: Mapping[str, Any], size: int, items: int) -> None:
        count, turns = (self.loops.count, self.loops.turns * max(items, 1)) if self.loops else (0, 1)
        # More than any expression of as many parts can make, but nearly always small enough.
        at_most = (size + MAX_LENGTH) * self.parts ** (count + 1) * turns**count
        if at_most > MAX_MADE and largest(self.tree, lambda part: _size_of(part, seen), turns) > MAX_MADE:
            raise too_large_made()


@lru_cache(maxsize=20_000)
def compile_expression(text: str, names: frozenset[str] = ROOTS) -> Expression:
    """The compiled form of `text`, in which `names` may be read; raises ExpressionError."""
    stripped = text.strip()
    if not stripped:
        raise ExpressionError("The expression is empty.")
    if len(stripped) > MAX_LENGTH:
        raise ExpressionError(f"The expression has {len(stripped):,} characters; at most {MAX_LENGTH:,} are allowed.")
    if (path := plain_path(stripped)) is None:
        return _compile_cel(stripped, names)
    if path[0] not in names:
        raise _unknown_name(path[0], names)
    return Expression(stripped, (Reference(path),))


@lru_cache(maxsize=20_000)
def plain_path(text: str) -> tuple[str, ...] | None:
    """The parts of `a.b["c"]`, which needs no evaluator; None for any other expression."""
    if not _PATH.fullmatch(text):
        return None
    parts = _PATH_PART.findall(text)
    return None if _RESERVED & set(parts) else tuple(part[1:-1] if part[0] in "\"'" else part for part in parts)


def _compile_cel(text: str, names: frozenset[str]) -> Expression:
    try:
        program = environment(names).compile(text)
    except RuntimeError as error:
        raise _compile_error(str(error), names) from None
    tree = cel_ast.read(program.serialize())
    if has_stray_optional(tree):
        raise ExpressionError("The value may be missing.", fix="Say what it is then: .orValue(...) after .? and [?].")
    references = tuple(dict.fromkeys(_references(tree, frozenset(), lenient=False)))
    if (direct := _direct_call(tree)) is not None:
        return Expression(text, references, direct)
    parts = sum(1 for _ in tree.walk())
    return Expression(text, references, _Program(program, tree, _loops(tree), parts))


def _direct_call(tree: Tree) -> _DirectCall | None:
    """The call of `merge`, `json` or `parseJson` that the whole expression is, where it is given plain paths."""
    paths = [_path_of(child) for child in tree.children]
    if tree.kind != "call" or tree.name not in DIRECT or not all(path and not path.lenient for path in paths):
        return None
    return _DirectCall(DIRECT[tree.name], [path.path for path in paths if path])


def _loops(tree: Tree) -> Loops | None:
    """The loops of an expression and their bounds; None when there are none."""
    parts = list(tree.walk())
    count = sum(part.kind == "comprehension" for part in parts)
    if count > MAX_LOOPS:
        message = f"The expression has {count} loops (map, filter, all, exists); at most {MAX_LOOPS} are allowed."
        raise ExpressionError(message)
    if not count:
        return None
    growth = 1 + sum(map(_may_add_lists, parts))  # lists that are added up grow with each plus sign
    written_out = max(len(part.children) for part in parts)
    made = MAX_PARTS if any(part.name in ("split", "parseJson") for part in parts) else 1
    return Loops(count, MAX_LOOP_LIST // (growth * _nesting(tree)), max(growth, written_out, made))


def _nesting(tree: Tree) -> int:
    """How many loops stand inside each other at most."""
    inside = [_nesting(child) for child in tree.children]
    if tree.kind != "comprehension":
        return max(inside, default=0)
    over, *body = inside
    return max(over, 1 + max(body))


def _may_add_lists(part: Tree) -> bool:
    if part.kind != "call" or part.name != "_+_":
        return False
    gathers = any(child.kind == "ident" and child.name.startswith(("@", "__")) for child in part.children)
    return not gathers and all(child.kind not in ("text", "constant") for child in part.children)


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except (TypeError, ValueError):
        raise ExpressionError("The values of this expression are not JSON.") from None


def _size_of(part: Tree, seen: Mapping[str, Any]) -> float | None:
    """The bytes of what a part names; None where something is worked out."""
    reference = _path_of(part)
    if reference is None:
        return None
    value: Any = seen
    for name in reference.path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return _size(value)


def _references(tree: Tree, bound: frozenset[str], *, lenient: bool) -> "list[Reference]":
    """Every name read in `tree` but the loop variables, each with the longest path written out."""
    if tree.kind in ("ident", "select", "has", "call"):
        path = _path_of(tree)
        if path is not None:
            return [] if path.path[0] in bound else [Reference(path.path, path.lenient or lenient)]
    found: list[Reference] = []
    for place, child in enumerate(tree.children):
        inner = bound | set(tree.bound) if place else bound
        found += _references(child, inner, lenient=lenient or tree.kind == "has")
    return found


def _path_of(tree: Tree) -> Reference | None:
    """`a.b`, `a["b"]`, `a.?b`, `has(a.b)` as a path; None where something is worked out."""
    if tree.kind == "ident":
        return Reference((tree.name,))
    if tree.kind in ("select", "has"):
        above = _path_of(tree.children[0])
        return above and Reference((*above.path, tree.name), above.lenient or tree.kind == "has")
    if tree.kind == "call" and tree.name in ("_[_]", "_?._", "_[?_]") and tree.children[1].kind == "text":
        above = _path_of(tree.children[0])
        return above and Reference((*above.path, tree.children[1].name), above.lenient or tree.name != "_[_]")
    return None


def _compile_error(message: str, names: frozenset[str]) -> ExpressionError:
    if unknown := re.search(r"undeclared reference to '([^']*)'", message):
        return _unknown_name(unknown.group(1), names)
    first = message.removeprefix("INVALID_ARGUMENT: ").split("\n")[0]
    place = re.search(r"<input>:(\d+):(\d+): (.*)", first)
    if place and place.group(1) != "-1":
        return ExpressionError(f"At character {place.group(2)}: {place.group(3).removesuffix(' [INVALID_ARGUMENT]')}.")
    if "recursion" in message:
        return ExpressionError("The expression is nested too deeply.", code="expression_too_large")
    return ExpressionError(re.sub(r"\s*\[[A-Z_]+\]$", "", first))


def _unknown_name(name: str, names: frozenset[str]) -> ExpressionError:
    close = nearest(name, names | frozenset(FUNCTIONS))
    fix = f"Did you mean '{close}'?" if close else f"Names that can be read here: {', '.join(sorted(names))}."
    return ExpressionError(f"There is no name '{name}' here.", code="unknown_name", fix=fix)


def _only(references: Sequence[Reference], scope: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `scope` that the references read, so that the evaluator is given no more than it needs."""
    part: dict[str, Any] = {}
    for path in sorted({reference.path for reference in references}, key=len):
        _copy_path(path, scope, part)
    return part


def _copy_path(path: Sequence[str], source: Mapping[str, Any], target: dict[str, Any]) -> None:
    name, *rest = path
    if name not in source:
        return
    value = source[name]
    if not rest or not isinstance(value, Mapping):
        target[name] = value
    elif target.get(name) is not value:  # not taken whole by a shorter path
        _copy_path(rest, value, target.setdefault(name, {}))


def _follow(path: Sequence[str], scope: Mapping[str, Any]) -> Any:
    value: Any = scope
    for depth, name in enumerate(path):
        if not isinstance(value, Mapping):
            raise ExpressionError(
                f"'{'.'.join(path[:depth])}' is {kind_of(value)} and has no field '{name}'.", code="unknown_name"
            )
        if name not in value:
            here = ".".join(path[:depth]) or "here"
            raise ExpressionError(
                f"There is no '{name}' in '{here}'.", code="unknown_name", fix=did_you_mean(name, map(str, value))
            )
        value = value[name]
    return value


def _readable(message: str) -> str:
    """What the evaluator says, in words for the author of the expression."""
    text = re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", message)
    if missing := re.search(r'Key not found in map : "(.*)"', text):
        return f"There is no '{missing.group(1)}' in the object. has(a.b) or a.?b.orValue(c) allow it to be missing."
    if "Applying SELECT to non-message type" in text:
        return "A field is read of something that is not an object (it may be null)."
    if overload := re.search(r"No matching overloads found : _?(.*?)_?\((.*)\)", text):
        return (
            f"'{overload.group(1).strip('_')}' does not work on ({overload.group(2).replace('int64', 'whole number')})."
        )
    if "Iteration budget exceeded" in text:
        return "The expression takes too many steps; use a map node for long lists."
    return text[:1].upper() + text[1:].rstrip(".") + "."

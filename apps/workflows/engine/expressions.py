"""Expressions: CEL (Common Expression Language), compiled, checked and bounded.

Everything the product knows about the CEL library stands in this file. Three bounds keep an
expression from holding a worker: its length and nesting, the size of what it sees, and the number
and length of its loops (the evaluator's cost is quadratic in the length of a list it maps over).
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional

from apps.workflows.engine import cel_ast
from apps.workflows.engine.errors import ExpressionError, did_you_mean, nearest

MAX_LENGTH = 4_000  # characters of an expression
MAX_LOOPS = 4  # map, filter, all, exists ... in one expression
MAX_LOOP_LIST = 1_000  # items of a list that an expression with loops may see
MAX_SEEN = 1_000_000  # bytes of JSON an expression may see
MAX_MADE = 4_000_000  # bytes of JSON an expression may make

ROOTS = frozenset({"inputs", "context", "nodes", "run"})
_PATH = re.compile(r"""[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[(?:"[^"\\]*"|'[^'\\]*')\])*""")
_PATH_PART = re.compile(r"""[A-Za-z_]\w*|"[^"]*"|'[^']*'""")
_RESERVED = frozenset({"true", "false", "null", "in"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A name an expression reads: a root and the fields below it, as far as they are written out."""

    path: tuple[str, ...]
    lenient: bool = False  # inside has() or .?, where a missing name is allowed


@dataclass(frozen=True, eq=False)
class Expression:
    """A compiled expression."""

    text: str
    references: tuple[Reference, ...]
    loop_list: int | None  # the longest list it may see, where it loops
    _program: "cel.Expression | None"  # None for a plain path, which needs no evaluator

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """The value (plain JSON) of the expression over `scope`; raises ExpressionError."""
        if self._program is None:
            return _follow(self.references[0].path, scope)
        seen = _only(self.references, scope)
        self._check_seen(seen)
        try:
            value = self._program.eval(data=seen)
            if value.type() == cel.Type.ERROR:
                raise ExpressionError(_readable(str(value.value())))
            return _plain(value.plain_value())
        except RuntimeError as error:
            raise ExpressionError(_readable(str(error))) from None

    def _check_seen(self, seen: Mapping[str, Any]) -> None:
        try:
            size = len(orjson.dumps(seen))
        except (TypeError, ValueError):
            raise ExpressionError("The values of this expression are not JSON.") from None
        if size > MAX_SEEN:
            message = f"The expression reads {size:,} bytes; at most {MAX_SEEN:,} are allowed."
            raise ExpressionError(
                message, code="expression_too_large", fix="Take the value whole ({{ a.b }}), or use a map node."
            )
        if self.loop_list is not None and (longest := _longest_list(seen)) > self.loop_list:
            message = f"The expression loops over {longest:,} items; at most {self.loop_list:,} are allowed."
            raise ExpressionError(message, code="expression_too_large", fix="Use a map node for long lists.")


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
    return Expression(stripped, (Reference(path),), None, None)


def plain_path(text: str) -> tuple[str, ...] | None:
    """The parts of `a.b["c"]`, which needs no evaluator; None for any other expression."""
    if not _PATH.fullmatch(text):
        return None
    parts = _PATH_PART.findall(text)
    return None if _RESERVED & set(parts) else tuple(part[1:-1] if part[0] in "\"'" else part for part in parts)


def _compile_cel(text: str, names: frozenset[str]) -> Expression:
    try:
        program = _environment(names).compile(text)
    except RuntimeError as error:
        raise _compile_error(str(error), names) from None
    tree = cel_ast.read(program.serialize())
    references = tuple(dict.fromkeys(_references(tree, frozenset(), lenient=False)))
    return Expression(text, references, _check_loops(tree), program)


def _check_loops(tree: cel_ast.Tree) -> int | None:
    """How long a list the expression may loop over; None when it has no loop.

    Lists that are added up grow with each plus sign, so each one makes the bound smaller.
    """
    parts = list(tree.walk())
    loops = sum(part.kind == "comprehension" for part in parts)
    if loops > MAX_LOOPS:
        raise ExpressionError(
            f"The expression has {loops} loops (map, filter, all, exists); at most {MAX_LOOPS} are allowed."
        )
    return MAX_LOOP_LIST // (1 + sum(map(_may_add_lists, parts))) if loops else None


def _may_add_lists(part: cel_ast.Tree) -> bool:
    if part.kind != "call" or part.name != "_+_":
        return False
    gathers = any(
        child.kind == "ident" and child.name.startswith(("@", "__")) for child in part.children
    )  # a loop's own result
    return not gathers and all(child.kind not in ("text", "constant") for child in part.children)


def _references(tree: cel_ast.Tree, bound: frozenset[str], *, lenient: bool) -> "list[Reference]":
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


def _path_of(tree: cel_ast.Tree) -> Reference | None:
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
    close = nearest(name, names | frozenset(_FUNCTIONS))
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
                f"'{'.'.join(path[:depth])}' is {_kind(value)} and has no field '{name}'.", code="unknown_name"
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


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "an object")


def _longest_list(value: Any) -> int:
    longest = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            longest = max(longest, len(part))
            waiting.extend(part)
        elif isinstance(part, Mapping):
            waiting.extend(part.values())
    return longest


class _Budget:
    """Counts the bytes of a value while it is made plain, so that shared parts cannot multiply without end."""

    def __init__(self, size: int) -> None:
        self.left = size

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            message = f"The expression makes a value of more than {MAX_MADE:,} bytes."
            raise ExpressionError(message, code="expression_too_large")


def _plain(value: Any) -> Any:
    return _jsonable(value, _Budget(MAX_MADE))


def _jsonable(value: Any, budget: _Budget) -> Any:
    """`value` with CEL's own types made JSON."""
    budget.spend(8)
    if isinstance(value, list):
        return [_jsonable(item, budget) for item in value]
    if isinstance(value, Mapping):
        return {_key(key): _jsonable(item, budget) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return _scalar(value, budget)


def _scalar(value: Any, budget: _Budget) -> Any:
    if isinstance(value, str):
        budget.spend(len(value))
    elif isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("The expression makes a number that is not finite.")
    elif value is not None and not isinstance(value, bool | int | float):
        raise ExpressionError(f"The expression makes a {type(value).__name__}, which is not a JSON value.")
    return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ExpressionError("An object's keys are texts; string(x) makes one.")
    return key


# ---- the functions that expressions have beside CEL's own ----------------------------------------
# Text functions are ours and not the library's because theirs have no bound on what they make.


def _bounded(text: str) -> str:
    if len(text) > MAX_MADE:
        raise ValueError(f"a text of more than {MAX_MADE:,} characters")
    return text


def _join(items: Sequence[Any], separator: str = "") -> str:
    texts = [item if isinstance(item, str) else as_text(item) for item in items]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_MADE:
        raise ValueError(f"a text of more than {MAX_MADE:,} characters")
    return separator.join(texts)


def _replace(text: str, old: str, new: str) -> str:
    if len(text) + text.count(old) * (len(new) - len(old)) > MAX_MADE:
        raise ValueError(f"a text of more than {MAX_MADE:,} characters")
    return text.replace(old, new)


def _split(text: str, separator: str) -> list[str]:
    if not separator:
        raise ValueError("an empty separator")
    if text.count(separator) >= MAX_LOOP_LIST:
        raise ValueError(f"more than {MAX_LOOP_LIST:,} parts")
    return text.split(separator)


def _parse_json(text: str) -> Any:
    return orjson.loads(text)


def _merge(below: Any, above: Any) -> dict[str, Any]:
    both = [_plain(value) for value in (below, above)]
    if not all(value is None or isinstance(value, dict) for value in both):
        raise ValueError("merge works on two objects")
    return (both[0] or {}) | (both[1] or {})


def as_text(value: Any) -> str:
    """A value inside a text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_STRING, _INT, _DOUBLE, _DYN = cel.Type.STRING, cel.Type.INT, cel.Type.DOUBLE, cel.Type.DYN
_TEXTS = cel.Type.List(_STRING)
_ANYTHING = cel.Type.List(_DYN)

_Signature = tuple[list[Any], Any, bool, Callable[..., Any]]
_FUNCTIONS: dict[str, list[_Signature]] = {
    "lower": [([_STRING], _STRING, True, str.lower)],
    "upper": [([_STRING], _STRING, True, str.upper)],
    "trim": [([_STRING], _STRING, True, str.strip)],
    "replace": [([_STRING, _STRING, _STRING], _STRING, True, _replace)],
    "split": [([_STRING, _STRING], _TEXTS, True, _split)],
    "join": [([_ANYTHING, _STRING], _STRING, True, _join), ([_ANYTHING], _STRING, True, _join)],
    "substring": [
        ([_STRING, _INT], _STRING, True, lambda text, start: text[max(start, 0) :]),
        ([_STRING, _INT, _INT], _STRING, True, lambda text, start, end: text[max(start, 0) : max(end, 0)]),
    ],
    "indexOf": [([_STRING, _STRING], _INT, True, str.find)],
    "json": [([_DYN], _STRING, False, lambda value: _bounded(as_text(_plain(value))))],
    "merge": [([_DYN, _DYN], _DYN, False, _merge)],
    "parseJson": [([_STRING], _DYN, False, _parse_json)],
}


def _mixed(operator: str, compute: Callable[[float, float], float]) -> "cel.FunctionDecl":
    """Arithmetic between a whole number and a decimal, which CEL itself refuses."""
    overloads = [
        cel.Overload(f"{operator}_int_double", _DOUBLE, [_INT, _DOUBLE], False, compute),
        cel.Overload(f"{operator}_double_int", _DOUBLE, [_DOUBLE, _INT], False, compute),
    ]
    return cel.FunctionDecl(operator, overloads)


def _divide(left: float, right: float) -> float:
    if right == 0:
        raise ValueError("divide by zero")
    return left / right


def _extension() -> "cel.CelExtension":
    arithmetic = [
        _mixed("_+_", lambda left, right: left + right),
        _mixed("_-_", lambda left, right: left - right),
        _mixed("_*_", lambda left, right: left * right),
        _mixed("_/_", _divide),
    ]
    functions = [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(f"{name}_{number}", result, parameters, member, body)
                for number, (parameters, result, member, body) in enumerate(overloads)
            ],
        )
        for name, overloads in _FUNCTIONS.items()
    ]
    return cel.CelExtension("orchestra", arithmetic + functions)


@lru_cache(maxsize=256)
def _environment(names: frozenset[str]) -> "cel.Env":
    variables = dict.fromkeys(names, _DYN)
    return cel.NewEnv(variables=variables, extensions=[ext_math.ExtMath(), ext_optional.ExtOptional(), _extension()])

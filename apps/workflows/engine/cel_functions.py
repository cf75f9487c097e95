"""The functions that expressions have beside CEL's own, and the environment that knows them.

Text functions are ours and not the library's because theirs have no bound on what they make.
"""

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional

from apps.workflows.engine.cel_values import MAX_MADE, as_text, plain

MAX_PARTS = 1_000  # of a text that is split

if sys.version_info < (3, 12):
    # cel-expr-python 0.1.3 hands out null as None without counting the reference, so that None itself is freed in the
    # end and the process dies. From Python 3.12 on None is immortal; here it is given more references than it can lose.
    ctypes.c_ssize_t.from_address(id(None)).value += 1 << 60


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
    if text.count(separator) >= MAX_PARTS:
        raise ValueError(f"more than {MAX_PARTS:,} parts")
    return text.split(separator)


def _json(value: Any) -> str:
    return _bounded(as_text(plain(value)))


def _parse_json(text: str) -> Any:
    return orjson.loads(text)


def _merge(below: Any, above: Any) -> dict[str, Any]:
    if not all(value is None or isinstance(value, dict) for value in (below, above)):
        raise ValueError("merge works on two objects")
    return (below or {}) | (above or {})


_STRING, _INT, _DOUBLE, _DYN = cel.Type.STRING, cel.Type.INT, cel.Type.DOUBLE, cel.Type.DYN
_TEXTS = cel.Type.List(_STRING)
_ANYTHING = cel.Type.List(_DYN)

_Signature = tuple[list[Any], Any, bool, Callable[..., Any]]
FUNCTIONS: dict[str, list[_Signature]] = {
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
    "json": [([_DYN], _STRING, False, _json)],
    "merge": [([_DYN, _DYN], _DYN, False, _merge)],
    "parseJson": [([_STRING], _DYN, False, _parse_json)],
}
# Those that do not depend on the evaluator's types.
DIRECT: dict[str, Callable[..., Any]] = {"json": _json, "merge": _merge, "parseJson": _parse_json}


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
        for name, overloads in FUNCTIONS.items()
    ]
    return cel.CelExtension("orchestra", arithmetic + functions)


@lru_cache(maxsize=256)
def environment(names: frozenset[str]) -> "cel.Env":
    """Where expressions that may read `names` are compiled."""
    variables = dict.fromkeys(names, _DYN)
    return cel.NewEnv(variables=variables, extensions=[ext_math.ExtMath(), ext_optional.ExtOptional(), _extension()])

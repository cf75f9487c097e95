"""Values with `{{ expression }}` in them, compiled once and rendered against a scope."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apps.workflows.engine.cel_values import as_text
from apps.workflows.engine.errors import ExpressionError, pointer
from apps.workflows.engine.expressions import Expression, compile_expression

MAX_DEPTH = 64
MAX_RENDERED = 16_000_000  # bytes of JSON that the expressions of one template may make together

_NESTING = re.compile(r"""["'{}]""")

CompileOne = Callable[[str, frozenset[str]], Expression]
# Called with the JSON Pointer, the expression's text and the error.
OnError = Callable[[str, str, ExpressionError], None]


@dataclass(frozen=True, slots=True)
class Template:
    """A value in which every text with `{{ }}` has been compiled; `render` gives the JSON value."""

    source: Any
    expressions: tuple[tuple[str, Expression], ...]  # with the JSON Pointer of each inside the value
    _body: Any

    def render(self, scope: Mapping[str, Any]) -> Any:
        """The value over `scope`; raises ExpressionError with the expression's text in its message."""
        if not self.expressions:
            return self.source
        return _Renderer(scope, measured=len(self.expressions) > 1).render(self._body)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text around expressions; without any text around, its value keeps the expression's type."""

    parts: tuple[str | Expression, ...]


def compile_template(
    value: Any, names: frozenset[str], on_error: OnError, compile_one: CompileOne = compile_expression
) -> Template:
    """The compiled form of a JSON value; every expression that does not compile is given to `on_error`."""
    compiler = _Compiler(names, on_error, compile_one)
    body = compiler.compile(value, "", 0)
    return Template(value, tuple(compiler.found), body)


class _Compiler:
    def __init__(self, names: frozenset[str], on_error: OnError, compile_one: CompileOne) -> None:
        self.names = names
        self.on_error = on_error
        self.compile_one = compile_one
        self.found: list[tuple[str, Expression]] = []

    def compile(self, value: Any, where: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            self.on_error(where, "", ExpressionError(f"The value is nested more than {MAX_DEPTH} deep."))
            return None
        if isinstance(value, str):
            return self.compile_text(value, where) if "{{" in value else value
        if isinstance(value, dict):
            return {key: self.compile(item, where + pointer(key), depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.compile(item, where + pointer(place), depth + 1) for place, item in enumerate(value)]
        return value

    def compile_text(self, text: str, where: str) -> Any:
        parts: list[str | Expression] = []
        try:
            for is_expression, piece in _pieces(text):
                parts.append(self.compile_one(piece, self.names) if is_expression else piece)
        except ExpressionError as error:
            self.on_error(where, text, error)
            return text
        self.found.extend((where, part) for part in parts if isinstance(part, Expression))
        return _Text(tuple(parts))


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """The text cut into plain pieces and expressions, in order: (is it an expression, what it says)."""
    place = 0
    while (opening := text.find("{{", place)) >= 0:
        if opening > place:
            yield False, text[place:opening]
        closing = _closing(text, opening + 2)
        yield True, text[opening + 2 : closing]
        place = closing + 2
    if place < len(text):
        yield False, text[place:]


def _closing(text: str, start: int) -> int:
    """Where the `}}` stands that ends the expression beginning at `start`: not inside a text or an object of it."""
    nearest = text.find("}}", start)
    if nearest >= 0 and not _NESTING.search(text, start, nearest):
        return nearest
    depth = 0
    quote = ""
    place = start
    while place < len(text):
        character = text[place]
        if quote:
            if character == "\\":
                place += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character == "{":
            depth += 1
        elif character == "}":
            if not depth and text.startswith("}}", place):
                return place
            depth -= 1
        place += 1
    raise ExpressionError("'{{' is not closed by '}}'.")


class _Renderer:
    """Puts values in the place of expressions.

    One value may stand in many places, and what is made of that in many again: so what several
    expressions make together is `measured`, before a chain of nodes doubles it to no end.
    """

    def __init__(self, scope: Mapping[str, Any], *, measured: bool) -> None:
        self.scope = scope
        self.measured = measured
        self.left = MAX_RENDERED

    def render(self, body: Any) -> Any:
        if isinstance(body, _Text):
            return self.text(body.parts)
        if isinstance(body, dict):
            return {key: self.render(item) for key, item in body.items()}
        if isinstance(body, list):
            return [self.render(item) for item in body]
        return body

    def text(self, parts: Sequence[str | Expression]) -> Any:
        if len(parts) == 1 and isinstance(parts[0], Expression):
            return self.value(parts[0])
        return "".join(part if isinstance(part, str) else as_text(self.value(part)) for part in parts)

    def value(self, expression: Expression) -> Any:
        try:
            value = expression.evaluate(self.scope)
            if self.measured:
                self.measure(value)
        except ExpressionError as error:
            message = f"{{{{ {expression.text} }}}}: {error.message}"
            raise ExpressionError(message, code=error.code, fix=error.fix) from None
        return value

    def measure(self, value: Any) -> None:
        self.left -= len(orjson.dumps(value)) if isinstance(value, dict | list) else len(str(value))
        if self.left < 0:
            raise ExpressionError(f"The value becomes larger than {MAX_RENDERED:,} bytes.", code="expression_too_large")

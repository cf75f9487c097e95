"""Values with `{{ expression }}` in them, compiled once and rendered against a scope."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.workflows.engine.errors import ExpressionError, pointer
from apps.workflows.engine.expressions import MAX_MADE, Expression, as_text, compile_expression

MAX_DEPTH = 64

OnError = Callable[
    [str, str, ExpressionError], None
]  # called with the JSON Pointer, the expression's text and the error


@dataclass(frozen=True, slots=True)
class Template:
    """A value in which every text with `{{ }}` has been compiled; `render` gives the JSON value."""

    source: Any
    expressions: tuple[tuple[str, Expression], ...]  # with the JSON Pointer of each inside the value
    _body: Any

    def render(self, scope: Mapping[str, Any]) -> Any:
        """The value over `scope`; raises ExpressionError with the expression's text in its message."""
        return _render(self._body, scope) if self.expressions else self.source


@dataclass(frozen=True, slots=True)
class _Text:
    """A text around expressions; without any text around, its value keeps the expression's type."""

    parts: tuple[str | Expression, ...]

    def render(self, scope: Mapping[str, Any]) -> Any:
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return _value(self.parts[0], scope)
        texts = [part if isinstance(part, str) else as_text(_value(part, scope)) for part in self.parts]
        if sum(map(len, texts)) > MAX_MADE:
            raise ExpressionError(f"The text becomes longer than {MAX_MADE:,} characters.", code="expression_too_large")
        return "".join(texts)


def compile_template(value: Any, names: frozenset[str], on_error: OnError) -> Template:
    """The compiled form of a JSON value; every expression that does not compile is given to `on_error`."""
    compiler = _Compiler(names, on_error)
    body = compiler.compile(value, "", 0)
    return Template(value, tuple(compiler.found), body)


class _Compiler:
    def __init__(self, names: frozenset[str], on_error: OnError) -> None:
        self.names = names
        self.on_error = on_error
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
                parts.append(compile_expression(piece, self.names) if is_expression else piece)
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


def _render(body: Any, scope: Mapping[str, Any]) -> Any:
    if isinstance(body, _Text):
        return body.render(scope)
    if isinstance(body, dict):
        return {key: _render(item, scope) for key, item in body.items()}
    if isinstance(body, list):
        return [_render(item, scope) for item in body]
    return body


def _value(expression: Expression, scope: Mapping[str, Any]) -> Any:
    try:
        return expression.evaluate(scope)
    except ExpressionError as error:
        raise ExpressionError(f"{{{{ {expression.text} }}}}: {error.message}", code=error.code, fix=error.fix) from None

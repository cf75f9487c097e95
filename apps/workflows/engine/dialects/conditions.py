"""Conditions as people wrote them for steps (`score > 0.5 and mood == positive`), turned into CEL.

A bare word that is a known name is read; any other is a text. What is not of this grammar is taken for CEL, in
which known names are read.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from apps.workflows.engine.dialects.translation import quoted
from apps.workflows.engine.expressions import ROOTS

_TEXT = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_TOKEN = re.compile(
    rf"""(?P<number>-?\d+(?:\.\d+)?(?![\w.]))|(?P<text>{_TEXT})|(?P<sign>==|!=|<=|>=|<|>|&&|\|\||[!()\[\],])"""
    r"""|(?P<word>(?:[^\W\d]|[^\x00-\x7f])(?:[\w-]|[^\x00-\x7f])*)|(?P<space>\s+)|(?P<other>.)""",
    re.DOTALL,
)
_NAME_IN_CEL = re.compile(rf"{_TEXT}|(?<![\w.])(?P<name>[^\W\d]\w*)(?!\w|\s*\()")

_WORD_SIGNS = {"and": "&&", "or": "||", "not": "!", "in": "in"}
_CONSTANTS = {"true": "true", "false": "false", "null": "null", "none": "null"}
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">=", "in", "not in"})
_ORDERINGS = frozenset({"<", ">", "<=", ">="})
_MAX_NESTING = 30


class Names(Protocol):
    """What a condition may read."""

    def knows(self, name: str) -> bool:
        """Whether a name of the workflow is meant."""

    def read(self, name: str) -> str:
        """The expression that reads a name, null where it is missing."""

    def is_given(self, name: str) -> bool:
        """Whether the name surely has a value."""


class _OtherGrammarError(Exception):
    """The condition is not of the simple grammar."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number | text | sign | word
    text: str


@dataclass(frozen=True, slots=True)
class _Operand:
    """One side of a comparison."""

    kind: Literal["value", "word", "list"]
    text: str = ""
    items: Sequence["_Operand"] = ()


def to_cel(condition: str, names: Names) -> str:
    """The CEL expression that means the same."""
    try:
        return _Parser(list(_tokens(condition)), names).parse()
    except _OtherGrammarError:
        return _NAME_IN_CEL.sub(lambda match: _in_cel(match, names), condition)


def _in_cel(match: re.Match[str], names: Names) -> str:
    name = match["name"]
    return f"({names.read(name)})" if name and name not in ROOTS and names.knows(name) else match[0]


def _tokens(condition: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(condition):
        kind, text = str(match.lastgroup), match[0]
        if kind == "other":
            raise _OtherGrammarError
        if kind == "word" and text.lower() in _WORD_SIGNS:
            yield _Token("sign", _WORD_SIGNS[text.lower()])
        elif kind != "space":
            yield _Token(kind, text)


class _Parser:
    """Recursive descent: `or` over `and` over `not` over comparisons."""

    def __init__(self, tokens: Sequence[_Token], names: Names) -> None:
        self.tokens = tokens
        self.names = names
        self.place = 0
        self.nesting = 0

    def parse(self) -> str:
        found = self.either()
        if self.place < len(self.tokens):
            raise _OtherGrammarError
        return found

    def either(self) -> str:
        return self.joined("||", self.both)

    def both(self) -> str:
        return self.joined("&&", self.negation)

    def joined(self, sign: str, part: Callable[[], str]) -> str:
        parts = [part()]
        while self.accept(sign):
            parts.append(part())
        return f" {sign} ".join(parts)

    def negation(self) -> str:
        if not self.accept("!"):
            return self.comparison()
        return f"!({self.deeper(self.negation)})"

    def comparison(self) -> str:
        if self.accept("("):
            inner = self.deeper(self.either)
            self.expect(")")
            return f"({inner})"
        left = self.operand()
        sign = self.accept_comparison()
        return self.compare(left, sign, self.operand()) if sign else self.truth(left)

    def operand(self) -> _Operand:
        if self.accept("["):
            items: list[_Operand] = []
            while not self.accept("]"):
                items += [self.single()]
                if not self.peek("]"):
                    self.expect(",")
            return _Operand("list", items=items)
        return self.single()

    def single(self) -> _Operand:
        token = self.next()
        if token.kind == "sign":
            raise _OtherGrammarError
        if token.kind == "word" and token.text.lower() not in _CONSTANTS:
            return _Operand("word", token.text)
        return _Operand("value", _CONSTANTS.get(token.text.lower(), token.text))

    # ---- what it means ----------------------------------------------------------------------------

    def compare(self, left: _Operand, sign: str, right: _Operand) -> str:
        name = self.name_among(left, right)
        first, second = (self.names.read(side.text) if side is name else self.value(side) for side in (left, right))
        if sign == "not in":
            return f"!({first} in {second})"
        guards = [self.is_there(side) for side in (left, right) if side is name or self.is_name(side)]
        if sign not in _ORDERINGS or not any(guards):
            return f"{first} {sign} {second}"
        return f"({' && '.join([*filter(None, guards), f'{first} {sign} {second}'])})"

    def name_among(self, left: _Operand, right: _Operand) -> _Operand | None:
        """The side that is read whether or not it is known: `mood == positive` and `positive == mood` are the same."""
        words = [side for side in (left, right) if side.kind == "word"]
        return next((word for word in words if self.is_name(word)), words[0] if words else None)

    def is_there(self, operand: _Operand) -> str:
        """The check that a name has a value, for null has no order; empty where it surely has one."""
        return "" if self.names.is_given(operand.text) else f"{self.names.read(operand.text)} != null"

    def truth(self, operand: _Operand) -> str:
        if operand.kind != "word":
            return self.value(operand)
        return f'!({self.names.read(operand.text)} in [null, false, 0, "", [], {{}}])'

    def value(self, operand: _Operand) -> str:
        if operand.kind == "list":
            return f"[{', '.join(self.value(item) for item in operand.items)}]"
        if operand.kind == "value":
            return operand.text
        return self.names.read(operand.text) if self.names.knows(operand.text) else quoted(operand.text)

    def is_name(self, operand: _Operand) -> bool:
        return operand.kind == "word" and self.names.knows(operand.text)

    # ---- tokens -----------------------------------------------------------------------------------

    def peek(self, sign: str, ahead: int = 0) -> bool:
        place = self.place + ahead
        return place < len(self.tokens) and self.tokens[place] == _Token("sign", sign)

    def accept(self, sign: str) -> bool:
        if not self.peek(sign):
            return False
        self.place += 1
        return True

    def expect(self, sign: str) -> None:
        if not self.accept(sign):
            raise _OtherGrammarError

    def accept_comparison(self) -> str | None:
        if self.peek("!") and self.peek("in", 1):
            self.place += 2
            return "not in"
        if self.place < len(self.tokens) and self.tokens[self.place].text in _COMPARISONS:
            return self.next().text
        return None

    def next(self) -> _Token:
        if self.place == len(self.tokens):
            raise _OtherGrammarError
        self.place += 1
        return self.tokens[self.place - 1]

    def deeper(self, part: Callable[[], str]) -> str:
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise _OtherGrammarError
        found = part()
        self.nesting -= 1
        return found

"""The syntax tree of a compiled CEL expression, read from its serialized form.

The evaluator hands out no tree, but serializes to the published protocol buffer `cel.expr.CheckedExpr`
(github.com/google/cel-spec, proto/cel/expr/{checked,syntax}.proto). The few message fields needed here
are read directly; a protobuf runtime would be a dependency for forty lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass

# Field numbers, as in the .proto files.
_ANY_VALUE = 2
_CHECKED_EXPR = 4
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _COMPREHENSION = 3, 4, 5, 6, 7, 8, 9
_CONST_STRING = 6
_SELECT_IS_HAS = 3
_STRUCT_ENTRIES = 2
_ENTRY_IS_OPTIONAL = 5
_LIST_OPTIONAL_PLACES = 2

# Wire types: how the value after a key is written.
_VARINT, _LENGTH_DELIMITED = 0, 2
_FIXED_SIZES = {1: 8, 5: 4}
_MORE_FOLLOWS = 0x80  # the bit of a varint's byte that is not its last

OPTIONAL_PART = "?_"  # the call that stands around `b` in [?b] and {?"a": b}


@dataclass(frozen=True, slots=True)
class Tree:
    """One node of the tree; `name` is the identifier, field, function or text constant it is about."""

    kind: str  # ident | select | has | call | comprehension | text | constant | other
    name: str
    children: tuple["Tree", ...]
    bound: tuple[str, ...] = ()  # the variables a comprehension binds in its children after the first

    def walk(self) -> Iterator["Tree"]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def read(serialized: bytes) -> Tree:
    """The tree of an expression that `Expression.serialize` wrote."""
    checked = _first(_fields(serialized), _ANY_VALUE)
    return _expr(_first(_fields(checked), _CHECKED_EXPR))


def _expr(message: bytes) -> Tree:
    for number, value in _fields(message):
        if isinstance(value, bytes) and number in _READERS:
            return _READERS[number](value)
    return Tree("other", "", ())


def _const(message: bytes) -> Tree:
    for number, value in _fields(message):
        if number == _CONST_STRING and isinstance(value, bytes):
            return Tree("text", value.decode(errors="replace"), ())
    return Tree("constant", "", ())


def _ident(message: bytes) -> Tree:
    return Tree("ident", _first(_fields(message), 1).decode(), ())


def _select(message: bytes) -> Tree:
    fields = _fields(message)
    is_has = any(number == _SELECT_IS_HAS and value for number, value in fields)
    return Tree("has" if is_has else "select", _first(fields, 2).decode(), (_expr(_first(fields, 1)),))


def _call(message: bytes) -> Tree:
    fields = _fields(message)
    operands = [value for number, value in fields if number in (1, 3) and isinstance(value, bytes)]
    return Tree("call", _first(fields, 2).decode(), tuple(_expr(value) for value in operands))


def _list(message: bytes) -> Tree:
    fields = _fields(message)
    items = [_expr(value) for number, value in fields if number == 1 and isinstance(value, bytes)]
    optional = _numbers(_first(fields, _LIST_OPTIONAL_PLACES))
    return Tree(
        "other", "", tuple(_optional_part(item) if place in optional else item for place, item in enumerate(items))
    )


def _struct(message: bytes) -> Tree:
    parts: list[Tree] = []
    for number, value in _fields(message):
        if number == _STRUCT_ENTRIES and isinstance(value, bytes):
            parts += _entry(_fields(value))
    return Tree("other", "", tuple(parts))


def _entry(fields: list[tuple[int, int | bytes]]) -> list[Tree]:
    """The key, where it is worked out, and the value."""
    parts = [_expr(value) for number, value in fields if number in (3, 4) and isinstance(value, bytes)]
    is_optional = any(number == _ENTRY_IS_OPTIONAL and value for number, value in fields)
    return [*parts[:-1], _optional_part(parts[-1])] if is_optional else parts


def _optional_part(tree: Tree) -> Tree:
    return Tree("call", OPTIONAL_PART, (tree,))


def _numbers(packed: bytes) -> set[int]:
    found: set[int] = set()
    place = 0
    while place < len(packed):
        number, place = _varint(packed, place)
        found.add(number)
    return found


def _comprehension(message: bytes) -> Tree:
    fields = _fields(message)
    bound = tuple(
        value.decode() for number, value in fields if number in (1, 3, 8) and isinstance(value, bytes) and value
    )
    parts = tuple(_expr(_first(fields, number)) for number in (2, 4, 5, 6, 7))
    return Tree("comprehension", "", parts, bound)


_READERS = {
    _CONST: _const,
    _IDENT: _ident,
    _SELECT: _select,
    _CALL: _call,
    _LIST: _list,
    _STRUCT: _struct,
    _COMPREHENSION: _comprehension,
}


def _first(fields: list[tuple[int, int | bytes]], wanted: int) -> bytes:
    return next((value for number, value in fields if number == wanted and isinstance(value, bytes)), b"")


def _fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """The fields of a protocol buffer message, in order: (number, varint or bytes)."""
    found: list[tuple[int, int | bytes]] = []
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(message, place)
            found.append((number, value))
        else:
            size, place = _varint(message, place) if wire == _LENGTH_DELIMITED else (_FIXED_SIZES[wire], place)
            found.append((number, message[place : place + size]))
            place += size
    return found


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE_FOLLOWS:
            return value, place
        shift += 7

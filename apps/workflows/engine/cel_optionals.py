"""Where an optional value (`a.?b`) ends up.

The evaluator has no Python value for one: handed out inside an object, or handed to a function of ours, it ends the
whole process. Optional values come from syntax alone, so where they go is known before anything is evaluated.
"""

from apps.workflows.engine.cel_ast import OPTIONAL_PART, Tree

_MAKERS = frozenset({"_?._", "_[?_]", "optional.of", "optional.none", "optional.ofNonZeroValue", "or", "first", "last"})
_TAKERS = frozenset({"or", "_==_", "_!=_", OPTIONAL_PART})
_FIRST_TAKERS = frozenset({"_?._", "_[?_]", "_[_]", "orValue", "hasValue", "value"})  # what stands before the dot


def has_stray_optional(tree: Tree) -> bool:
    """Whether an optional value is the result, or goes where only plain values may."""
    return _is_optional(tree) or any(_lets_stray(part) for part in tree.walk())


def _lets_stray(part: Tree) -> bool:
    if part.kind in ("select", "has") or (part.kind == "call" and part.name in _TAKERS):
        return False
    if part.kind == "call" and part.name == "_?_:_":
        return _is_optional(part.children[0])
    if part.kind == "call" and part.name in _FIRST_TAKERS:
        return any(map(_is_optional, part.children[1:]))
    if part.kind == "comprehension":
        return any(map(_is_optional, part.children[:-1]))
    return any(map(_is_optional, part.children))


def _is_optional(tree: Tree) -> bool:
    """Whether the value is an optional one."""
    if tree.kind == "select":
        return _is_optional(tree.children[0])
    if tree.kind == "comprehension":
        return _is_optional(tree.children[-1])
    if tree.kind != "call":
        return False
    if tree.name == "_?_:_":
        return any(map(_is_optional, tree.children[1:]))
    return tree.name in _MAKERS or (tree.name == "_[_]" and _is_optional(tree.children[0]))

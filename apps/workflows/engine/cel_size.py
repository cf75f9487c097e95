"""How large what an expression makes can become, worked out before it is evaluated.

The evaluator shares parts where it can, but its result and the arguments of our own functions are copied out
whole: a map that repeats a text of 1 MB for 1,000 items would take 1 GB before anybody could measure it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from apps.workflows.engine.cel_ast import Tree

_SMALL = 8.0  # bytes of a number or a truth value
_DECISIONS = frozenset(
    {"_==_", "_!=_", "_<_", "_>_", "_<=_", "_>=_", "@in", "!_", "_&&_", "_||_", "size", "matches", "contains"}
    | {"startsWith", "endsWith", "@not_strictly_false", "indexOf", "type"}
)

Sizes = Mapping[str, float]  # of the variables of loops


def largest(tree: Tree, size_of: Callable[[Tree], float | None], items: int) -> float:
    """The most bytes of JSON that any part of the expression can be.

    `size_of` gives the size of a part that is read and not worked out, or None; `items` is how often a
    loop turns at most.
    """
    estimate = _Estimate(size_of, items)
    estimate.of(tree, {})
    return estimate.largest


class _Estimate:
    def __init__(self, size_of: Callable[[Tree], float | None], items: int) -> None:
        self.size_of = size_of
        self.items = max(items, 1)
        self.largest = 0.0

    def of(self, tree: Tree, variables: Sizes) -> float:
        size = self._of(tree, variables)
        self.largest = max(self.largest, size)
        return size

    def _of(self, tree: Tree, variables: Sizes) -> float:
        if tree.kind == "text":
            return len(tree.name)
        if tree.kind == "ident" and tree.name in variables:
            return variables[tree.name]
        if (size := self.size_of(tree)) is not None:
            return size
        if tree.kind == "comprehension":
            return self._loop(tree, variables)
        if tree.kind == "call":
            return self._call(tree.name, [self.of(child, variables) for child in tree.children])
        return sum(self._together(tree.children, variables), _SMALL)

    def _together(self, parts: Iterable[Tree], variables: Sizes) -> Iterator[float]:
        """The sizes of parts that stand side by side; different fields of one item are no more than the item."""
        taken: dict[str, set[str]] = {}
        for part in parts:
            size = self.of(part, variables)
            owner = part.children[0].name if part.kind == "select" and part.children[0].kind == "ident" else ""
            fields = taken.setdefault(owner, set())
            if owner not in variables or not fields or part.name in fields:
                yield size
            fields.add(part.name)

    def _loop(self, tree: Tree, variables: Sizes) -> float:
        over, start, _, step, result = tree.children
        whole = self.of(over, variables)
        first, gathered, *second = tree.bound
        # The items together are the whole, so their mean is right for what grows in step with them.
        item = dict.fromkeys([first, *second], whole / self.items)
        turn = self.of(step, {**variables, **item, gathered: 0.0})
        return self.of(result, {**variables, gathered: self.of(start, variables) + self.items * turn})

    def _call(self, name: str, parts: list[float]) -> float:
        if name in _DECISIONS:
            return _SMALL
        if name == "replace":
            text, _, new = parts
            return text * max(new, 1.0)
        if name == "join":
            return parts[0] + self.items * sum(parts[1:])
        return sum(parts, _SMALL)

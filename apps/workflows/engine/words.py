"""Whose words an expression may bring: the author's and those of who starts the run, or somebody else's."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from apps.workflows.engine.expressions import Reference
from apps.workflows.engine.spec import ApprovalNode, FailNode, MapNode, Node, SetNode, WaitNode

Name = tuple[str, ...]  # `inputs`; `nodes` and `context`, whole or with one of theirs

INPUTS: Name = ("inputs",)
_WORDLESS = frozenset({"status", "visit"})  # fields of a node that say how it stands, and nothing that anybody wrote


def names_read(references: Iterable[Reference], own: str = "") -> frozenset[Name]:
    """Give what the references read of others; `own` is the node whose output and error they may name alone."""
    return frozenset(name for reference in references if (name := _name(reference.path, own)))


def others_words(nodes: Mapping[str, Node], reads: Mapping[Name, frozenset[Name]], *, inputs: bool) -> frozenset[Name]:
    """Give all that may be somebody else's words; with `inputs` the run's input is, too.

    The output of a node that does something is, and whatever reads such: `reads` has what the outputs of nodes that
    only compute, and the keys of the context, are made of.
    """
    found = {("nodes", name) for name, node in nodes.items() if not _is_ours(node)} | ({INPUTS} if inputs else set())
    readers = _readers(nodes, reads)
    todo = list(found)
    while todo:
        new = readers[todo.pop()] - found
        found |= new
        todo += new
    return frozenset(found)


def is_computed(node: Node) -> bool:
    """Tell whether what the node gives is made of what its fields read, and of nothing else."""
    return isinstance(node.body if isinstance(node, MapNode) else node, SetNode | FailNode)


def _is_ours(node: Node) -> bool:
    """Whether a node brings nothing from elsewhere: it computes, asks a person of ours, or lets time pass."""
    return is_computed(node) or isinstance(node, ApprovalNode) or (isinstance(node, WaitNode) and node.event is None)


def _readers(nodes: Mapping[str, Node], reads: Mapping[Name, frozenset[Name]]) -> defaultdict[Name, set[Name]]:
    readers: defaultdict[Name, set[Name]] = defaultdict(set)
    for name, parts in [*reads.items(), *_wholes(nodes, reads)]:
        for part in parts:
            readers[part].add(name)
    return readers


def _wholes(nodes: Mapping[str, Node], reads: Mapping[Name, frozenset[Name]]) -> Iterator[tuple[Name, list[Name]]]:
    """Who reads `nodes` or `context` as a whole reads each of them."""
    yield ("nodes",), [("nodes", name) for name in nodes]
    yield ("context",), [name for name in reads if name[0] == "context"]


def _name(path: Name, own: str) -> Name | None:
    if path[0] in ("output", "error"):
        return ("nodes", own)
    if path[0] == "nodes":
        return None if len(path) > 2 and path[2] in _WORDLESS else path[:2]  # noqa: PLR2004 - nodes.<name>.<field>
    return path[:2] if path[0] == "context" else INPUTS if path[0] == "inputs" else None

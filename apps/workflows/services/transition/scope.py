"""The names that expressions read, fetched as far as they are needed."""

from collections.abc import Collection, Iterable
from typing import Any

import orjson

from apps.common.json import JSON
from apps.workflows.engine.compiler import Compiled, Needs
from apps.workflows.engine.marking import Marking, dead_nodes
from apps.workflows.engine.states import NODE_ENDED
from apps.workflows.services.context_keys import context_keys, folded
from apps.workflows.store import progress
from apps.workflows.store.database import Transaction
from apps.workflows.store.rows import NodeRow, RunRow
from apps.workflows.store.values import Packer

_MOST_REMEMBERED = 64 * 1024  # characters; a run with more is read again each time


class Scope:
    """What expressions see inside one transaction: committed rows, and over them what has just been decided."""

    def __init__(self, tx: Transaction, run: RunRow, compiled: Compiled, packer: Packer) -> None:
        self.tx, self.run, self.compiled, self.packer = tx, run, compiled, packer
        self.marking = Marking()
        self._input: JSON = None
        self._nodes: dict[str, dict[str, Any]] = {}
        self._context: dict[str, list[tuple[list[int], JSON, str]]] = {}
        self._passing: set[str] = set()  # of the nodes: those whose visit had not ended when it was fetched
        self._size = 0  # characters of what was fetched or seen

    def take_over(self, earlier: "Scope") -> None:
        """Starts from what an earlier transition of the run knew, but for what may change without being seen here."""
        if earlier._size <= _MOST_REMEMBERED:
            self._input, self._context, self._size = earlier._input, earlier._context, earlier._size
            self._nodes = earlier._nodes
            for name in earlier._passing:
                self._nodes.pop(name, None)

    def names(self, needs: Needs, **others: JSON) -> dict[str, Any]:
        """The names an expression with these needs may read; `others` are those of its place: output, visit, item."""
        if self._input is None:
            self._size += len(self.run.input)
            (self._input,) = self.packer.unpack(self.tx, [self.run.input])
        return {
            "inputs": self._input,
            "context": self._context_values(needs.context),
            "nodes": self._node_values(needs.nodes),
            "run": {"id": str(self.run.id), "started_at": _time(self.run)},
            **others,
        }

    def saw(self, row: NodeRow, output: JSON) -> None:
        """Lets later expressions of this transaction see a visit that has just ended."""
        if not row.is_item:
            self._size += len(row.output or "")
            self._nodes[row.node] = _node(row.status, row.visit, output, row.error, row.degraded)

    def wrote(self, key: str, rank: list[int], value: JSON, node: str) -> None:
        """Lets later expressions of this transaction see a write to a context key."""
        self.writes(key).append((rank, value, node))

    def unwrote(self, key: str) -> None:
        """Forgets the latest write to a key."""
        self.writes(key).pop()

    def writes(self, key: str) -> list[tuple[list[int], JSON, str]]:
        """Every write to a key: its rank, its value and the node that wrote."""
        self._fetch_context([key])
        return self._context[key]

    def _node_values(self, names: Collection[str] | None) -> dict[str, Any]:
        wanted = self.compiled.graph.nodes if names is None else names
        missing = [name for name in wanted if name not in self._nodes]
        if missing:
            self._fetch_nodes(missing)
        return {name: self._nodes.get(name) or self._absent(name) for name in wanted}

    def _fetch_nodes(self, names: Collection[str]) -> None:
        rows = progress.latest_visits(self.tx, self.run.id, names)
        outputs = self.packer.unpack(self.tx, [row["output"] for row in rows])
        self._size += sum(len(row["output"] or "") for row in rows)
        for row, output in zip(rows, outputs, strict=True):
            error = row["error"] and orjson.loads(row["error"])
            node = _node(row["status"], row["visit"], output, error, row["degraded"])
            self._nodes[row["node"]] = node
            if row["status"] not in NODE_ENDED:
                self._passing.add(row["node"])

    def _absent(self, name: str) -> dict[str, Any]:
        """A node that has not run: skipped when it can not start any more."""
        dead = name in dead_nodes(self.compiled.graph, self.marking)
        return {"status": "skipped" if dead else "pending", "visit": 0}

    def _context_values(self, keys: Collection[str] | None) -> dict[str, Any]:
        wanted = context_keys(self.compiled) if keys is None else keys
        self._fetch_context([key for key in wanted if key not in self._context])
        values = {key: self._fold(key) for key in wanted}
        return {key: value for key, (known, value) in values.items() if known}

    def _fetch_context(self, keys: Iterable[str]) -> None:
        missing = [key for key in keys if key not in self._context]
        if not missing:
            return
        rows = progress.context_writes(self.tx, self.run.id, missing)
        values = self.packer.unpack(self.tx, [row["value"] for row in rows])
        self._size += sum(len(row["value"]) for row in rows)
        self._context.update({key: [] for key in missing})
        for row, value in zip(rows, values, strict=True):
            self._context[row["key"]].append((row["rank"], value, row["node"]))

    def _fold(self, key: str) -> tuple[bool, JSON]:
        """Whether the key has a value yet, and the value."""
        declared = self.compiled.definition.context.get(key)
        writes = [(node, value) for _, value, node in sorted(self._context[key], key=lambda write: write[0])]
        known = bool(writes) or (declared is not None and "initial" in declared.model_fields_set)
        return known, folded(declared, writes)


def _node(status: str, visit: int, output: JSON, error: JSON, degraded: str | None) -> dict[str, Any]:
    node = {"status": str(status), "visit": visit}
    if status == "completed":
        node["output"] = output
    if status == "completed" and degraded is not None:
        node["degraded"] = degraded
    if error is not None:
        node["error"] = error
    return node


def _time(run: RunRow) -> str:
    return (run.started_at or run.now).isoformat().replace("+00:00", "Z")

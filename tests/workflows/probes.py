"""Agents that do what a test says, and count how often."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from apps.agents.context import Context
from apps.agents.sdk import Agent

Behaviour = Callable[[Any, Context], Any]


class Probes:
    """What the agent `probe` does under each label, and what it was asked."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, Any]] = []
        self._lock = threading.Lock()

    def __setitem__(self, label: str, behaviour: Behaviour) -> None:
        self.behaviours[label] = behaviour

    def fails(self, label: str, *errors: BaseException) -> None:
        """Raises the errors one after the other; after them it answers."""
        left = list(errors)

        def behave(task: Any, ctx: Context) -> Any:
            if left:
                raise left.pop(0)
            return task

        self[label] = behave

    def call(self, label: str, task: Any, ctx: Context) -> Any:
        with self._lock:
            self.calls[label] += 1
            self.asked.append((label, task))
        behave = self.behaviours.get(label)
        return task if behave is None else behave(task, ctx)


probes = Probes()


class Probe(Agent):
    """Calls the behaviour that its config names; without one it gives its input back."""

    name = "probe"

    class Config(Agent.Config):
        label: str = ""

    def exec(self, task: Any, ctx: Context) -> Any:
        return probes.call(self.config.label or str(ctx.node), task, ctx)


def probe(label: str, **fields: Any) -> dict[str, Any]:
    """A node that runs the probe of this label."""
    return {"type": "agent", "agent": "probe", "config": {"label": label}, **fields}

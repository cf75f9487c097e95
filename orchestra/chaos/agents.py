"""Agents that only scenarios have; their workers load this module as a plugin."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from orchestra.sdk import Agent, BaseModel, Context

LOOK_SECONDS = 0.05


class Crash(Agent):
    """Kills the process that runs it, until somebody has repaired it by making a file."""

    name = "chaos_crash"

    class Input(BaseModel):
        repaired_by: str

    def exec(self, task: Input, ctx: Context) -> dict[str, bool]:  # noqa: ARG002
        if not Path(task.repaired_by).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return {"repaired": True}


class Turns(Agent):
    """Takes one turn after the other, each a step of its own; all but the first wait until somebody makes a file.

    It gives the process in which each turn was taken.
    """

    name = "chaos_turns"

    class Input(BaseModel):
        turns: int = 1
        gate: str

    def exec(self, task: Input, ctx: Context) -> dict[str, Any]:
        return {"pids": [ctx.step(f"turn {number}", _turn, number, Path(task.gate)) for number in range(task.turns)]}


def _turn(number: int, gate: Path) -> int:
    while number and not gate.exists():
        time.sleep(LOOK_SECONDS)
    return os.getpid()


class Slow(Agent):
    """Gives its input back after a while in which it does not listen: what nobody wants any more is brought too."""

    name = "chaos_slow"

    def exec(self, task: Any, ctx: Context) -> Any:  # noqa: ARG002
        time.sleep(task["delay"])
        return task


class Gate(Agent):
    """Waits until somebody makes a file."""

    name = "chaos_gate"

    class Input(BaseModel):
        gate: str

    def exec(self, task: Input, ctx: Context) -> dict[str, int]:  # noqa: ARG002
        return {"pid": _turn(1, Path(task.gate))}

"""Agents that only scenarios have; their workers load this module as a plugin."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from orchestra.sdk import Agent, BaseModel, Context


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
    """Takes one turn after the other, each a step of its own, and tells in which process each was taken."""

    name = "chaos_turns"

    class Input(BaseModel):
        turns: int
        seconds: float  # of each

    def exec(self, task: Input, ctx: Context) -> dict[str, Any]:
        return {"pids": [ctx.step(f"turn {number}", _take_turn, task.seconds) for number in range(task.turns)]}


def _take_turn(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()

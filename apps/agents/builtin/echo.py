"""The agent that gives back what it gets: for demos, tests and as a placeholder while drawing a workflow."""

import asyncio
from typing import Any

from pydantic import BaseModel, Field

from apps.agents.context import Context
from apps.agents.sdk import Agent
from apps.common.json import JSON

LONGEST_DELAY_SECONDS = 3600.0


class Echo(Agent):
    """Gives its input back, after `delay` seconds; with `message` configured, that message instead.

    A number under `delay` in the input wins over the configured one.
    """

    name = "echo"
    capabilities = ("echo",)

    class Config(BaseModel):
        message: str | None = None
        delay: float = Field(0, ge=0, le=LONGEST_DELAY_SECONDS, description="Seconds to wait first; cancellable.")

    def exec(self, task: JSON, ctx: Context) -> Any:  # noqa: ARG002
        seconds = self._delay(task)
        # Without a delay there is no need for the event loop's thread and the hop to it.
        return self._later(task, seconds) if seconds else self._answer(task)

    async def _later(self, task: JSON, seconds: float) -> JSON:
        await asyncio.sleep(seconds)
        return self._answer(task)

    def _answer(self, task: JSON) -> JSON:
        return task if self.config.message is None else {"message": self.config.message}

    def _delay(self, task: JSON) -> float:
        asked = task.get("delay") if isinstance(task, dict) else None
        if isinstance(asked, bool) or not isinstance(asked, int | float):
            return float(self.config.delay)
        return min(max(float(asked), 0.0), LONGEST_DELAY_SECONDS)

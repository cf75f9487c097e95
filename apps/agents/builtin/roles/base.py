"""What the roles share."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, BaseModel, Field, JsonValue

from apps.agents.builtin.roles.asking import asked, decided
from apps.agents.context import Context
from apps.agents.llm.loop import Task
from apps.agents.llm.prompt import texts_of
from apps.agents.llm.spec import GivenTool
from apps.agents.sdk import Agent
from apps.common.errors import Retryable
from apps.common.json import JSON

DEEPEST = 6  # levels of an earlier result that are searched


class RoleConfig(BaseModel):
    """How the agent behaves."""

    seconds: float = Field(0.3, ge=0, le=600, description="By rules: how long it takes, so that people can watch.")
    failures: int = Field(0, ge=0, le=10, description="How many attempts fail first, so that people can see retries.")
    model: str = Field("default", max_length=200, description="The model that is asked where the node names none.")
    options: dict[str, JsonValue] = Field(default={}, description="Settings of the model, such as temperature.")
    tools: list[GivenTool] = Field(
        default=[], max_length=50, description="Tools that the model may call: names, or {tool, approval, assignees}."
    )


class RoleInput(BaseModel):
    """A task in words and what was done before it."""

    task: str = Field(
        min_length=1, max_length=20_000, validation_alias=AliasChoices("task", "query", "goal", "description")
    )
    context: JsonValue = Field(None, description="Output of the tasks before this one.")


class RoleAgent(Agent):
    """What the roles share: a model with the role's prompt, or rules, and one shape of result."""

    Config = RoleConfig
    Input = RoleInput

    def prep(self, task: RoleInput, ctx: Context) -> RoleInput:
        self.decision = decided(self.name, ctx.model or self.config.model, ctx)
        return task

    async def exec(self, task: RoleInput, ctx: Context) -> JSON:
        if ctx.attempt <= self.config.failures:
            raise Retryable("This attempt fails on purpose: the agent's config asks for it.", code="demonstration")
        earlier = list(earlier_results(task.context))
        if self.decision.model is None:
            found = await self._by_rules(task.task, earlier, ctx)
        else:
            found = await asked(self.decision, self.config, Task(task.task, texts_of(task.context)), ctx)
        return {
            "role": self.name,
            "task": task.task,
            "based_on": [result["task"] for result in earlier],
            **self.beside(earlier),
            **found,
        }

    async def _by_rules(self, task: str, earlier: list[dict[str, Any]], ctx: Context) -> dict[str, Any]:
        found = self.work(task, earlier)
        for number, step in enumerate(found["plan"], 1):
            await asyncio.sleep(self.config.seconds / len(found["plan"]))
            ctx.progress(number / len(found["plan"]), step)
        return {**found, "method": "rules", "is_demo": True}  # no model was asked

    @abstractmethod
    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        """Give by rules what the role answers, see `apps/agents/roles/answers.py`."""

    def beside(self, earlier: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002
        """Give what stands in the result whoever has worked."""
        return {}


def earlier_results(context: JSON, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Give the results of other roles that stand anywhere in the context."""
    if depth > DEEPEST or not isinstance(context, dict | list):
        return
    if isinstance(context, dict) and isinstance(context.get("role"), str) and isinstance(context.get("task"), str):
        yield context
        return
    for part in context.values() if isinstance(context, dict) else context:
        yield from earlier_results(part, depth + 1)


def sentences_of(result: dict[str, Any]) -> list[str]:
    """Give what a result says, sentence by sentence."""
    plan = result.get("plan")
    parts = [result.get("summary"), *(plan if isinstance(plan, list) else [])]
    return [f"{part.rstrip('.')}." for part in parts if isinstance(part, str)]


def counted(things: list[Any], one: str, many: str | None = None) -> str:
    """Give "1 step" or "2 steps"."""
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"

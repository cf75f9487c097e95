"""Agents that organizations have made of a prompt, as workflows, other agents and people find them."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any
from uuid import UUID, uuid4

from django_scopes import scope
from pydantic import AfterValidator, JsonValue, TypeAdapter, WithJsonSchema

from apps.agents import selectors
from apps.agents.builtin.assistant import Assistant
from apps.agents.context import Context
from apps.agents.llm.loop import Answer, Task, answer
from apps.agents.llm.prompt import texts_of
from apps.agents.llm.spec import AgentSpec
from apps.agents.models import AgentVersion
from apps.agents.registry import AgentType, Kind, register_source
from apps.agents.sdk import Agent
from apps.agents.services import trials
from apps.common.database import on_thread
from apps.common.errors import Fatal, NotFound
from apps.common.json import JSON, dumps
from apps.common.json_schema import Checker

WITH_INPUT = "Do your work with this input."


class PromptAgent(Agent):
    """An agent made of a prompt, for one visit: all attempts of the visit have the version that the first one had."""

    def __init__(self, version: AgentVersion) -> None:
        super().__init__()
        self.version = version

    async def exec(self, task: Any, ctx: Context) -> JSON:
        version, trial = selectors.read_pin(await ctx.astep(selectors.PIN, on_thread, self._pinned, ctx))
        if version != self.version.pk:
            self.version = await on_thread(selectors.version_by_id, ctx.organization_id, version)
        spec = AgentSpec.model_validate(self.version.document)
        if trial is None:
            return output_of(spec, await answer(spec, task_of(spec, task), ctx))
        return output_of(spec, await self._tried(spec, task, ctx, trial))

    def _pinned(self, ctx: Context) -> str:
        """The id of the version that works at this visit, and of the trial that it is in."""
        with scope(organization=ctx.organization_id):
            trial = selectors.trial_of(self.version.agent)
            if trial is None:
                return selectors.pin_of(self.version)
            number = trials.chosen(trial, str(ctx.session_name or ctx.run_id or uuid4()))
            ctx.log.info("A version on trial works.", version=number, beside=trial.other_than(number))
            return selectors.pin_of(self.version.agent.versions.get(number=number), trial.pk)

    async def _tried(self, spec: AgentSpec, task: Any, ctx: Context, trial: UUID) -> Answer:
        """The answer of a version on trial, with what it took counted."""
        count = partial(trials.count_visit, trial, self.version.number, ctx.organization_id)
        try:
            found = await answer(spec, task_of(spec, task), ctx)
        except (Fatal, NotFound):
            await on_thread(partial(count, failed=True))
            raise
        took = {"turns": found.turns, "tokens": found.tokens, "cost": found.cost_micro_usd}
        await ctx.astep("trial", on_thread, partial(count, failed=False, **took))
        return found


def task_of(spec: AgentSpec, given: Any) -> Task:
    """Give what the agent is to do: words with what is beside them, or input that fits its schema."""
    if spec.input_schema is not None:
        return Task(WITH_INPUT, [dumps(given).decode()])
    return Task(given.task, texts_of(given.context))


def output_of(spec: AgentSpec, found: Answer) -> JSON:
    """Give the node's output: what the schema asks for, what another agent gave, or the text and what it took."""
    if spec.output_schema is not None or found.output is not None:
        return found.output
    return {
        "text": found.text,
        "model": found.model,
        "is_demo": found.is_demo,
        "turns": found.turns,
        "tokens": found.tokens,
        "cost_usd": found.cost_micro_usd / 1_000_000,
    }


class PromptAgentType(AgentType):
    """What others may know of such an agent."""

    def __init__(self, version: AgentVersion) -> None:
        super().__init__(PromptAgent)
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "spec", AgentSpec.model_validate(version.document))

    version: AgentVersion
    spec: AgentSpec

    @property
    def name(self) -> str:
        return self.version.agent.name

    @property
    def description(self) -> str:
        return self.spec.description or self.spec.title

    @property
    def kind(self) -> Kind:
        return "llm"

    @property
    def capabilities(self) -> tuple[str, ...]:
        return self.spec.capabilities

    @property
    def origin(self) -> str:
        return f"version {self.version.number}"

    def make(self, config: Any) -> Agent:  # noqa: ARG002 - what it is stands in its version
        return PromptAgent(self.version)

    @property
    def input(self) -> TypeAdapter[Any]:
        schema = self.spec.input_schema
        return TypeAdapter(Assistant.Input) if schema is None else _fitting(schema)

    @property
    def output(self) -> TypeAdapter[Any]:
        return TypeAdapter(JsonValue) if self.spec.output_schema is None else _fitting(self.spec.output_schema)


def _fitting(schema: dict[str, Any]) -> TypeAdapter[Any]:
    def check(value: Any) -> Any:
        for path, message in Checker(schema).failures(value):
            raise ValueError(f"/{'/'.join(map(str, path))}: {message}")
        return value

    return TypeAdapter(Annotated[JsonValue, AfterValidator(check), WithJsonSchema(schema)])


class Prompts:
    """The source; see `registry.Source`."""

    def find(self, organization_id: UUID, name: str) -> AgentType | None:
        """Give the organization's agent of this name."""
        with scope(organization=organization_id):
            found = selectors.newest_version(name)
        return None if found is None else PromptAgentType(found)

    def all(self, organization_id: UUID) -> Iterable[AgentType]:
        """Give the agents of the organization."""
        with scope(organization=organization_id):
            return [PromptAgentType(version) for version in selectors.newest_versions()]


register_source(Prompts())

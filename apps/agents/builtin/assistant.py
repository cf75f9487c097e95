"""The agent that asks a language model: instructions, a task, and tools the model may call."""

from pydantic import AliasChoices, BaseModel, Field, JsonValue, field_validator
from pydantic.config import JsonDict

from apps.agents.context import Context
from apps.agents.llm.loop import Task, answer
from apps.agents.llm.prompt import texts_of
from apps.agents.llm.spec import AgentSpec, GivenTool, Limits, Memory, checked_schema
from apps.agents.memory.assistance import MemoryConfig
from apps.agents.sdk import Agent
from apps.common.json import JSON

OWN: JsonDict = {"readOnly": True}  # what nobody is asked for who answers in its place


def _is_none(value: object) -> bool:
    return value is None


class Assistant(Agent):
    """Does a task in words by asking a language model, which may call the tools it is given.

    Without a model it asks the organization's default; where none is set up that is `demo/scripted`, which needs no key
    and plays a model by rules.
    """

    name = "assistant"
    capabilities = ("assistant", "language_model")

    class Config(MemoryConfig):
        instructions: str = Field("", max_length=100_000, description="Who the model is to be and how it answers.")
        model: str = Field("default", description="The model that is asked where the node names none.")
        tools: list[GivenTool] = Field(
            default=[], max_length=50, description="Tools that it may call: names, or {tool, approval, assignees}."
        )
        most_turns: int = Field(8, ge=1, le=25, description="How often the model is asked before this is given up.")
        options: dict[str, JsonValue] = Field(default={}, description="Settings of the model, such as temperature.")
        output_schema: dict[str, JsonValue] | None = Field(
            None, description="JSON Schema: the answer is JSON that fits, as `data`; its `route` is the node's route."
        )

        @field_validator("output_schema")
        @classmethod
        def _is_schema(cls, schema: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
            return checked_schema(schema)

        def spec(self) -> AgentSpec:
            """Give the same as the document of an agent."""
            return AgentSpec(
                instructions=self.instructions,
                model=self.model,
                tools=tuple(self.tools),
                options=self.options,
                memory=Memory(recall=self.recall, reflect=self.reflect, history_tokens=self.history_tokens),
                limits=Limits(turns=self.most_turns),
                output_schema=self.output_schema,
            )

    class Input(BaseModel):
        task: str = Field(
            min_length=1, max_length=200_000, validation_alias=AliasChoices("task", "query", "goal", "description")
        )
        context: JsonValue = Field(None, description="What it is about: text, or the output of nodes before this one.")

    class Output(BaseModel):
        text: str
        model: str = Field(json_schema_extra=OWN)
        is_demo: bool = Field(json_schema_extra=OWN)
        turns: int = Field(json_schema_extra=OWN)
        tokens: int = Field(json_schema_extra=OWN)
        data: JsonValue = Field(
            None,
            exclude_if=_is_none,
            description="The answer, where an `output_schema` asks for JSON.",
            json_schema_extra=OWN,
        )
        route: str | None = Field(
            None,
            exclude_if=_is_none,
            description="What `data` says in its field of this name.",
            json_schema_extra=OWN,
        )

    async def exec(self, task: Input, ctx: Context) -> Output:
        found = await answer(self.config.spec(), Task(task.task, texts_of(task.context)), ctx)
        return self.Output(
            text=found.text,
            model=found.model,
            is_demo=found.is_demo,
            turns=found.turns,
            tokens=found.tokens,
            data=found.output,
            route=_route(found.output),
        )


def _route(data: JSON) -> str | None:
    route = data.get("route") if isinstance(data, dict) else None
    return route if isinstance(route, str) else None

"""The agent that asks a language model: instructions, a task, and tools the model may call."""

from pydantic import AliasChoices, BaseModel, Field, JsonValue

from apps.agents.context import Context
from apps.agents.llm.loop import Task, answer
from apps.agents.llm.prompt import texts_of
from apps.agents.llm.spec import AgentSpec, Grant, Limits, Memory
from apps.agents.memory.assistance import MemoryConfig
from apps.agents.sdk import Agent


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
        tools: list[str] = Field(default=[], max_length=50, description="Names of the tools that it may call.")
        most_turns: int = Field(8, ge=1, le=25, description="How often the model is asked before this is given up.")
        options: dict[str, JsonValue] = Field(default={}, description="Settings of the model, such as temperature.")

        def spec(self) -> AgentSpec:
            """Give the same as the document of an agent."""
            return AgentSpec(
                instructions=self.instructions,
                model=self.model,
                tools=tuple(Grant(tool=name) for name in self.tools),
                options=self.options,
                memory=Memory(recall=self.recall, reflect=self.reflect, history_tokens=self.history_tokens),
                limits=Limits(turns=self.most_turns),
            )

    class Input(BaseModel):
        task: str = Field(
            min_length=1, max_length=200_000, validation_alias=AliasChoices("task", "query", "goal", "description")
        )
        context: JsonValue = Field(None, description="What it is about: text, or the output of nodes before this one.")

    class Output(BaseModel):
        text: str
        model: str
        is_demo: bool
        turns: int
        tokens: int

    async def exec(self, task: Input, ctx: Context) -> Output:
        found = await answer(self.config.spec(), Task(task.task, texts_of(task.context)), ctx)
        return self.Output(
            text=found.text, model=found.model, is_demo=found.is_demo, turns=found.turns, tokens=found.tokens
        )

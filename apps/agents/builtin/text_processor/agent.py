"""The agent `text_processor`."""

from collections.abc import Callable

from pydantic import BaseModel, Field

from apps.agents.builtin.choices import chosen
from apps.agents.builtin.text_processor.keywords import keywords
from apps.agents.builtin.text_processor.language import language
from apps.agents.builtin.text_processor.sentiment import sentiment
from apps.agents.builtin.text_processor.summary import summary
from apps.agents.context import Context
from apps.agents.sdk import Agent
from apps.common.json import JSON

LONGEST_TEXT = 1_000_000  # characters


class TextInput(BaseModel):
    """A text and what to find out about it."""

    task_type: str = Field(
        description="sentiment_analysis, text_summary, keyword_extraction or language_detection.",
        json_schema_extra={
            "enum": ["sentiment_analysis", "text_summary", "keyword_extraction", "language_detection"],
        },
    )
    text: str = Field(max_length=LONGEST_TEXT)
    max_sentences: int | None = Field(None, ge=1, le=100, description="text_summary: how many sentences to keep.")
    max_keywords: int = Field(10, ge=1, le=100, description="keyword_extraction: how many keywords to give.")


class TextProcessor(Agent):
    """Analyses texts by rules and statistics; needs no model and no network.

    - `sentiment_analysis`: {sentiment: positive | negative | neutral, score, confidence, …}, for English
    - `text_summary`: {summary, sentences, total_sentences, compression}: the most telling sentences of the text
    - `keyword_extraction`: {keywords: [{keyword, score}]}
    - `language_detection`: {language, confidence, candidates}: ISO 639-1 codes, `und` when it cannot be told
    """

    name = "text_processor"
    capabilities = ("sentiment_analysis", "text_summary", "keyword_extraction", "language_detection")
    Input = TextInput

    def exec(self, task: TextInput, ctx: Context) -> JSON:  # noqa: ARG002
        return chosen(task.task_type, ANALYSES, "text_processor")(task)


ANALYSES: dict[str, Callable[[TextInput], JSON]] = {
    "sentiment_analysis": lambda task: sentiment(task.text),
    "text_summary": lambda task: summary(task.text, task.max_sentences),
    "keyword_extraction": lambda task: keywords(task.text, task.max_keywords),
    "language_detection": lambda task: language(task.text),
}

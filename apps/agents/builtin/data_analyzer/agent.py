"""The agent `data_analyzer`."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from apps.agents.builtin.choices import chosen
from apps.agents.builtin.data_analyzer.checking import check_rows
from apps.agents.builtin.data_analyzer.description import describe_rows
from apps.agents.builtin.data_analyzer.records import records
from apps.agents.context import Context
from apps.agents.sdk import Agent
from apps.common.json import JSON


class TableInput(BaseModel):
    """A table and what to do with it."""

    model_config = ConfigDict(populate_by_name=True)

    task_type: str = Field(
        description="data_validation or statistical_analysis.",
        json_schema_extra={"enum": ["data_validation", "statistical_analysis"]},
    )
    data: JsonValue = Field(description="A list of records or rows, an object of columns, CSV text or JSON text.")
    schema_: dict[str, Any] | None = Field(
        None,
        alias="schema",
        description="data_validation: JSON Schema of a record, or of the list; else types are inferred.",
    )


class DataAnalyzer(Agent):
    """Checks and describes tables by rules and statistics; needs no model and no network.

    - `data_validation`: {clean_data, valid, row_count, clean_row_count, invalid_row_count, invalid_rows: [{row, column,
      message}], schema}. Types are inferred per column (or given as a JSON Schema), numbers written as text become
      numbers, empty cells null, empty rows go; `clean_data` holds the valid rows.
    - `statistical_analysis`: {stats: {column: {type, count, missing, …}}, row_count}, with mean, median, stdev, min,
      max, sum and quartiles for numbers, else unique, top and top_count.
    """

    name = "data_analyzer"
    capabilities = ("data_validation", "statistical_analysis")
    Input = TableInput

    def exec(self, task: TableInput, ctx: Context) -> JSON:  # noqa: ARG002
        return chosen(task.task_type, ANALYSES, "data_analyzer")(task)


ANALYSES: dict[str, Callable[[TableInput], JSON]] = {
    "data_validation": lambda task: check_rows(records(task.data), task.schema_),
    "statistical_analysis": lambda task: describe_rows(records(task.data)),
}

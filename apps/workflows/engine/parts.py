"""What the parts of the workflow format are made of."""

from typing import Any

from pydantic import BaseModel, ConfigDict

Schema = dict[str, Any]  # a JSON Schema, draft 2020-12


class Part(BaseModel):
    """Base of every part of a definition: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

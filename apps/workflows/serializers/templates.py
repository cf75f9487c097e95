"""Templates as the API and the commands show them."""

from typing import Any

from pydantic import BaseModel

from apps.common.json import JSON
from apps.workflows.services.gallery import Template


class TemplateView(BaseModel):
    """A workflow of the gallery; `POST /v1/workflows` with its definition makes it yours."""

    name: str
    title: str
    description: str
    workflow: str
    needs_key: bool
    definition: dict[str, Any]
    sample_input: dict[str, Any]


def template_view(template: Template) -> dict[str, JSON]:
    """A template as JSON."""
    names = ("name", "title", "description", "workflow", "definition", "sample_input")
    fields = {name: getattr(template, name) for name in names}
    return TemplateView(**fields, needs_key=False).model_dump(mode="json")

"""The form of an answer that a person gives in the place of an agent."""

from typing import Any
from uuid import UUID

from apps.agents import registry
from apps.workflows.engine.spec import AgentNode

PLAIN: dict[str, Any] = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}


def answer_form(spec: AgentNode, organization_id: UUID) -> dict[str, Any]:
    """The fields that the agent says it gives, of which a person fills in what they know; else one text."""
    if spec.agent is not None:
        known = registry.find_for(organization_id, spec.agent)
    else:
        known = next(iter(registry.able_for(organization_id, spec.capability or "")), None)
    schema = known.output_schema if known else {}
    return {**schema, "required": [], "minProperties": 1} if schema.get("properties") else PLAIN

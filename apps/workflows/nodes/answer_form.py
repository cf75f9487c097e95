"""The form of an answer that a person gives in the place of an agent."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apps.agents import registry
from apps.common.schema_parts import Part, choices, kind, properties, required
from apps.workflows.engine.spec import AgentNode

Schema = dict[str, Any]

PLAIN: Schema = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}


def answer_form(spec: AgentNode, organization_id: UUID) -> Schema:
    """The fields that the agent says it gives, without those that it alone can know (`readOnly`); else one text."""
    schema = _given_by(spec, organization_id)
    parts = properties(schema, schema)
    wanted = (spec.config or {}).get("output_schema")
    if "data" in parts and isinstance(wanted, dict):
        return {"type": "object", "required": ["data"], "properties": {"data": wanted}}
    asked = {name: part for name, part in parts.items() if not part.get("readOnly")}
    return _form(schema, asked) if asked else PLAIN


def _form(schema: Schema, asked: Mapping[str, Part]) -> Schema:
    """What the agent has to give is asked for; of what it may give, at least something."""
    needed = [name for name in asked if name in required(schema) or len(asked) == 1]
    least = {} if needed else {"minProperties": 1}
    filled = {name: _filled(part) if name in needed else part for name, part in asked.items()}
    return {**schema, "required": needed, "properties": filled, **least}


def _given_by(spec: AgentNode, organization_id: UUID) -> Schema:
    if spec.agent is not None:
        known = registry.find_for(organization_id, spec.agent)
    else:
        known = next(iter(registry.able_for(organization_id, spec.capability or "")), None)
    return known.output_schema if known else {}


def _filled(part: Part) -> Part:
    """A text that has to be given is not empty."""
    is_text = kind(part) == "string" and choices(part) is None
    return {"minLength": 1, **part} if is_text else part

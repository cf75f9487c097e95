"""What each role answers: JSON Schemas, which hold for a model's answer as for what the rules give."""

from typing import Any

from apps.agents.roles.catalogue import ROLES, SAME

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
YES_OR_NO: Schema = {"type": "boolean"}


def _many(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _answer(**more: Schema) -> Schema:
    return _object(summary=TEXT, plan=_many(TEXT), **more)


_ROLE: Schema = {"enum": [*(role.name for role in ROLES), *SAME]}
_FINDINGS = _many(_object(about=TEXT, finding=TEXT, remedy=TEXT))

ANSWERS: dict[str, Schema] = {
    "frontend": _answer(),
    "backend": _answer(),
    "qa": _answer(findings=_FINDINGS, approved=YES_OR_NO),
    "debugger": _answer(fixes=_many(_object(about=TEXT, finding=TEXT, fix=TEXT))),
    "coordinator": _answer(assignments=_many(_object(role=_ROLE, task=TEXT))),
    "research": _answer(questions=_many(TEXT), search_terms=_many(TEXT)),
    "analyst": _answer(themes=_many(_object(keyword=TEXT, score={"type": "number"}))),
    "code": _answer(files=_many(_object(path=TEXT, content=TEXT))),
    "writer": _answer(title=TEXT, text=TEXT),
    "critic": _answer(findings=_FINDINGS, approved=YES_OR_NO, strengths=_many(TEXT)),
}

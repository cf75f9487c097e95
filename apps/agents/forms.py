"""The form in which people write an agent: its document as plain fields, and back."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from apps.agents.llm.spec import AgentSpec, AnyGrant
from apps.common import json
from apps.common.errors import BadRequest, ErrorItem
from apps.common.json import JSON

CHARACTERS_OF_A_TOKEN = 4
NUMBER = re.compile(r"\d{1,15}(\.\d{1,15})?")
Fields = dict[str, list[str]]  # what each field of the form has, as a browser sends it
GRANTS = {"tools": "tool", "agents": "agent", "handoffs": "agent", "workflows": "workflow"}  # what an entry names

# Where a fault is shown: the beginning of its place in the document, and the field.
PLACES = (
    ("/guardrails/judge/model", "judge_model"),
    ("/guardrails/judge", "judge_question"),
    ("/output_schema", "output_schema"),
    ("/input_schema", "input_schema"),
    ("/handoffs", "agents"),
    *((f"/guardrails/{name}", name) for name in ("pii", "blocked", "retries")),
    *((f"/limits/{name}", name) for name in ("turns", "tool_calls", "tokens", "cost_usd")),
    *((f"/memory/{name}", name) for name in ("recall", "reflect")),
    *((f"/{name}", name) for name in ("name", "title", "description", "instructions", "model", "options")),
    *((f"/{name}", name) for name in ("capabilities", "tools", "agents", "workflows")),
)
LABELS = {
    "output_schema": "Schema of the answer",
    "input_schema": "Schema of what it takes",
    "judge_model": "The judge's model",
    "judge_question": "Question to a judge",
    "cost_usd": "Dollars",
    "tool_calls": "Calls",
    "pii": "Personal data",
    "blocked": "Phrases",
}


@dataclass(frozen=True)
class FieldFaults:
    """What is wrong, by field, and what has no field."""

    by_field: Mapping[str, Sequence[str]]
    others: Sequence[ErrorItem]

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Give the fields that need a look, each with its label."""
        return [(name, LABELS.get(name, name.replace("_", " ").capitalize())) for name in self.by_field]


def faults_by_field(faults: Iterable[ErrorItem]) -> FieldFaults:
    """Give each fault to the field that it is about."""
    by_field: dict[str, list[str]] = {}
    others = []
    for fault in faults:
        field = next((name for place, name in PLACES if _is_in(fault.pointer, place)), None)
        if field is None:
            others.append(fault)
        else:
            by_field.setdefault(field, []).append(fault.message)
    return FieldFaults(by_field, others)


def _is_in(pointer: str, place: str) -> bool:
    return pointer == place or pointer.startswith(f"{place}/")


# ---- from the document ----------------------------------------------------------------------------


def fields_of(spec: AgentSpec) -> Fields:
    """Give what the fields of the form hold for an agent."""
    limits, rules = spec.limits, spec.guardrails
    judge = rules.judge
    single = {
        "title": spec.title,
        "description": spec.description,
        "instructions": spec.instructions,
        "model": "" if spec.model == "default" else spec.model,
        "options": _json(spec.options or None),
        "capabilities": ", ".join(spec.capabilities),
        "output": "text" if spec.output_schema is None else "json",
        "output_schema": _json(spec.output_schema),
        "input_schema": _json(spec.input_schema),
        "turns": str(limits.turns),
        "tool_calls": str(limits.tool_calls),
        "tokens": "" if limits.tokens is None else str(limits.tokens),
        "cost_usd": "" if limits.cost_usd is None else f"{limits.cost_usd:g}",
        "pii": rules.pii,
        "blocked": "\n".join(rules.blocked),
        "judge_question": judge.question if judge else "",
        "judge_model": judge.model if judge else "",
        "retries": str(rules.retries),
        "recall": str(spec.memory.recall),
    }
    several = {
        "reflect": ["true"] if spec.memory.reflect else [],
        **{field: [grant.name for grant in grants] for field, grants in _grants(spec)},
    }
    approvals: Fields = {
        f"approval:{field}:{one.name}": [one.approval] for field, grants in _grants(spec) for one in grants
    }
    assignees = {
        f"assignees:{field}:{one.name}": [", ".join(one.assignees)] for field, grants in _grants(spec) for one in grants
    }
    return {name: [value] for name, value in single.items()} | several | approvals | assignees


def _grants(spec: AgentSpec) -> list[tuple[str, Sequence[AnyGrant]]]:
    return [(field, getattr(spec, field)) for field in GRANTS]


def _json(value: JSON) -> str:
    return "" if value is None else json.dumps(value, indent=True).decode()


# ---- and back -------------------------------------------------------------------------------------


def document_of(sent: QueryDict) -> tuple[dict[str, JSON], list[ErrorItem]]:
    """Give the document that the form says, as it stands, and what of it cannot be read at all."""
    faults: list[ErrorItem] = []

    def schema(name: str) -> JSON:
        try:
            return json.loads(text) if (text := _line(sent, name)) else None
        except BadRequest as error:
            faults.append(ErrorItem(f"/{name}", error.code, error.detail))
            return None

    judge = {"question": _text(sent, "judge_question"), "model": _line(sent, "judge_model")}
    document = {
        **{name: _text(sent, name) for name in ("title", "description", "instructions")},
        "model": _line(sent, "model"),
        "options": schema("options"),
        "capabilities": _listed(_text(sent, "capabilities")),
        **{field: [_grant(sent, field, name) for name in sent.getlist(field)] for field in GRANTS},
        "input_schema": schema("input_schema"),
        "output_schema": schema("output_schema") if _line(sent, "output") == "json" else None,
        "memory": _given({"recall": _number(sent, "recall"), "reflect": bool(sent.get("reflect")) or None}),
        "limits": _given({name: _number(sent, name) for name in ("turns", "tool_calls", "tokens", "cost_usd")}),
        "guardrails": _given(
            {
                "pii": _line(sent, "pii"),
                "blocked": _listed(_text(sent, "blocked"), "\n"),
                "judge": _given(judge) if any(judge.values()) else None,
                "retries": _number(sent, "retries"),
            }
        ),
    }
    if _line(sent, "output") == "json" and document["output_schema"] is None and not faults:
        faults.append(ErrorItem("/output_schema", "missing", "Write the JSON Schema that the answer has to fit."))
    return _given(document), faults


def _grant(sent: QueryDict, field: str, name: str) -> JSON:
    approval = _line(sent, f"approval:{field}:{name}")
    assignees = _listed(_text(sent, f"assignees:{field}:{name}"))
    more = _given({"approval": "" if approval == "auto" else approval, "assignees": assignees})
    return {GRANTS[field]: name, **more} if more or field == "tools" else name


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was left empty."""
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def _text(sent: QueryDict, name: str) -> str:
    """A text as it was typed; a browser sends its lines with the ends of the network."""
    return str(sent.get(name, "")).replace("\r\n", "\n")


def _line(sent: QueryDict, name: str) -> str:
    return _text(sent, name).strip()


def _listed(text: str, between: str = ",") -> list[str]:
    return [part for one in text.split(between) if (part := one.strip())]


def _number(sent: QueryDict, name: str) -> JSON:
    """A number, or what was written in the place of one, for the check to refuse."""
    text = _line(sent, name)
    read: Callable[[str], float] = float if "." in text else int
    return read(text) if NUMBER.fullmatch(text) else text

"""What a small company would have its Orchestra do: workflows, runs of some days, and questions that are open."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from orchestra.access import Access
from orchestra.demo import call
from orchestra.house import wait_until

MODEL = "smart"  # without one, the first steps would stand on Home
ENDED = ("completed", "failed", "cancelled")
STILL = (*ENDED, "waiting")

WORKFLOWS: list[dict[str, Any]] = [
    {
        "name": "invoice-approval",
        "title": "Invoice approval",
        "description": "Has a person look at an invoice before it is paid.",
        "nodes": {
            "check": {"type": "set", "values": {"supplier": "{{ inputs.supplier }}", "amount": "{{ inputs.amount }}"}},
            "approval": {
                "type": "approval",
                "needs": "check",
                "message": "Pay {{ inputs.amount }} € to {{ inputs.supplier }}?",
                "input": {"supplier": "{{ inputs.supplier }}", "amount": "{{ inputs.amount }}", "due": "in 14 days"},
                "form": {"type": "object", "properties": {"cost_center": {"type": "string", "title": "Cost center"}}},
                "timeout": "3d",
            },
            "pay": {
                "type": "tool",
                "tool": "outbox.send",
                "input": {"to": "bank@example.com", "subject": "Payment", "body": "{{ inputs.supplier }}"},
            },
        },
        "edges": [{"from": "approval", "to": "pay", "route": "approve"}],
    },
    {
        "name": "supplier-feed",
        "title": "Supplier feed",
        "description": "Takes over the stock of a supplier every night.",
        "nodes": {
            "fetch": {"type": "agent", "agent": "echo", "config": {"delay": 0.2}, "input": "{{ inputs }}"},
            "store": {"type": "set", "values": {"rows": "{{ inputs.rows }}"}},
            "incomplete": {
                "type": "fail",
                "message": "The feed of {{ inputs.supplier }} ended after {{ inputs.rows }} of 5110 rows.",
            },
        },
        "edges": [
            {"from": "fetch", "to": "store", "when": "inputs.rows == 5110"},
            {"from": "fetch", "to": "incomplete", "when": "inputs.rows < 5110"},
        ],
    },
    {
        "name": "support-triage",
        "title": "Support triage",
        "description": "Reads the mood of a message and tells a person about the unhappy ones.",
        "nodes": {
            "mood": {
                "type": "agent",
                "agent": "text_processor",
                "input": {"task_type": "sentiment_analysis", "text": "{{ inputs.message }}"},
            },
            "tell": {
                "type": "tool",
                "tool": "outbox.send",
                "input": {"to": "support@example.com", "subject": "Unhappy", "body": "{{ inputs.message }}"},
            },
        },
        "edges": [{"from": "mood", "to": "tell", "when": 'output.sentiment == "negative"'}],
    },
]
MESSAGES = (
    "Where is my order? I have waited for two weeks.",
    "Thank you, the new filter fits perfectly!",
    "It arrived broken, and nobody answers. Terrible.",
    "Do you ship to Norway?",
)
SUPPLIERS = ("Nordwind GmbH", "Alba Logistics", "Kestrel Supplies", "Moss & Sons")
SAMPLES = ("content-analysis", "data-processing", "parallel-review", "fit-summary", "onboarding")


@dataclass
class Work:
    """What was started."""

    past: list[str] = field(default_factory=list)
    brief: str = ""  # waits for an approval

    def order(self, access: Access, workflow: str, given: dict[str, Any]) -> str:
        """Start a run; gives its id."""
        return str(call(access, "POST", f"/v1/workflows/{quote(workflow)}/run", {"input": given})["id"])


def fill(access: Access, *, runs: int) -> Work:
    """Save the workflows, have so many runs done, and leave some questions open."""
    chance, work = random.Random(7), Work()
    for definition in WORKFLOWS:
        call(access, "POST", "/v1/workflows", definition)
    templates = [call(access, "GET", f"/v1/templates/{name}") for name in SAMPLES]
    samples = {one["workflow"]: one["sample_input"] for one in templates}
    for number in range(runs):
        name, given = _chosen(chance, samples, number)
        work.past.append(work.order(access, name, given))
    for supplier, amount in zip(SUPPLIERS, (1240, 89, 15300), strict=False):
        work.order(access, "invoice-approval", {"supplier": supplier, "amount": amount})
    work.brief = work.order(access, "market-brief", {"topic": "heat pumps in old houses"})
    wait_until(lambda: all(status(access, run) in ENDED for run in work.past), "not all runs have ended")
    wait_until(lambda: status(access, work.brief) in STILL, "the brief asks nobody")
    call(access, "POST", "/v1/model-providers", {"kind": "openai", "key": "sk-not-a-real-key-0000"})
    call(access, "POST", "/v1/models", {"name": MODEL, "provider": "openai", "model": "gpt-5-mini", "is_default": True})
    return work


def _chosen(chance: random.Random, samples: dict[str, Any], number: int) -> tuple[str, dict[str, Any]]:
    match number % 4:
        case 0:
            rows = 5110 if chance.random() < 0.75 else chance.randrange(900, 5000)
            return "supplier-feed", {"supplier": chance.choice(SUPPLIERS), "rows": rows}
        case 1 | 2:
            return "support-triage", {"message": chance.choice(MESSAGES)}
    name = chance.choice(list(samples))
    return name, samples[name]


def status(access: Access, run: str) -> str:
    """How a run stands."""
    return str(call(access, "GET", f"/v1/runs/{run}")["status"])


def ages(count: int) -> list[timedelta]:
    """How long ago the runs shall have been: most of them within a day, and more by day than by night."""
    chance = random.Random(11)
    minutes = sorted((chance.betavariate(1.1, 2.2) * 3 * 24 * 60 for _ in range(count)), reverse=True)
    return [timedelta(minutes=1 + some) for some in minutes]

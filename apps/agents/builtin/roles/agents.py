"""The agents; each derives its result from the words of its task and from what was done before it."""

import asyncio
import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, BaseModel, Field, JsonValue

from apps.agents.builtin.roles.topics import subject_of, topics_of
from apps.agents.builtin.text_processor.keywords import keywords
from apps.agents.builtin.text_processor.summary import summary
from apps.agents.context import Context
from apps.agents.sdk import Agent
from apps.common.errors import Retryable
from apps.common.json import JSON

DEEPEST = 6  # levels of an earlier result that are searched
ROLE_WORDS = {
    "frontend": "ui page form component screen react button design layout dashboard",
    "backend": "api endpoint server database service auth webhook migration queue model",
    "qa": "test review check verify quality audit",
    "debugger": "fix bug debug crash error failure",
    "researcher": "research find sources trends compare market literature",
    "analyst": "analyze analyse data figures statistics report trend metrics",
}


class RoleConfig(BaseModel):
    """How the agent behaves."""

    seconds: float = Field(0.3, ge=0, le=600, description="How long it takes its time, so that people can watch.")
    failures: int = Field(0, ge=0, le=10, description="How many attempts fail first, so that people can see retries.")


class RoleInput(BaseModel):
    """A task in words and what was done before it."""

    task: str = Field(
        min_length=1, max_length=20_000, validation_alias=AliasChoices("task", "query", "goal", "description")
    )
    context: JsonValue = Field(None, description="Output of the tasks before this one.")


class RoleAgent(Agent):
    """What the roles share: taking their time, telling their progress, one shape of result."""

    Config = RoleConfig
    Input = RoleInput

    async def exec(self, task: RoleInput, ctx: Context) -> JSON:
        earlier = list(earlier_results(task.context))
        if ctx.attempt <= self.config.failures:
            raise Retryable("This attempt fails on purpose: the agent's config asks for it.", code="demonstration")
        found = self.work(task.task, earlier)
        for number, step in enumerate(found["plan"], 1):
            await asyncio.sleep(self.config.seconds / len(found["plan"]))
            ctx.progress(number / len(found["plan"]), step)
        return {
            "role": self.name,
            "task": task.task,
            "based_on": [result["task"] for result in earlier],
            **found,
            "method": "rules",  # no model was asked
        }

    @abstractmethod
    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        """Give `summary`, `plan` (a list of sentences) and what else the role finds."""


class Frontend(RoleAgent):
    """Plans the user interface of a task, by rules and without a model."""

    name = "frontend"
    capabilities = ("frontend", "ui")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        plan = [step for topic in topics_of(task) for step in topic.frontend]
        plan += [f"Connect it to: {subject_of(result['task'])}" for result in earlier if result["role"] == "backend"]
        return {"summary": f"Interface for {subject_of(task)}: {_counted(plan, 'step')}.", "plan": plan}


class Backend(RoleAgent):
    """Plans the server side of a task, by rules and without a model."""

    name = "backend"
    capabilities = ("backend", "api")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        plan = [step for topic in topics_of(task) for step in topic.backend]
        serves = [
            f"Serve what it needs: {subject_of(result['task'])}" for result in earlier if result["role"] == "frontend"
        ]
        return {
            "summary": f"Server side of {subject_of(task)}: {_counted(plan + serves, 'step')}.",
            "plan": plan + serves,
        }


class Qa(RoleAgent):
    """Reviews earlier plans for what they leave open, by rules and without a model."""

    name = "qa"
    capabilities = ("qa", "review", "testing")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        reviewed = earlier or [{"role": "author", "task": task, "plan": []}]
        findings = [finding for result in reviewed for finding in _findings(result)]
        plan = [f"Read the work on {subject_of(result['task'])}" for result in reviewed]
        plan += [f"Test: {finding['finding']}" for finding in findings]
        return {
            "summary": f"Reviewed {_counted(reviewed, 'result')}, {_counted(findings, 'finding')}.",
            "plan": plan,
            "findings": findings,
            "approved": not findings,
        }


class Debugger(RoleAgent):
    """Turns the findings of a review into fixes, by rules and without a model."""

    name = "debugger"
    capabilities = ("debugger", "debugging")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        findings = [finding for result in earlier for finding in result.get("findings", [])]
        fixes = [
            {"about": finding["about"], "finding": finding["finding"], "fix": finding["remedy"]}
            for finding in findings
            if isinstance(finding, dict) and {"about", "finding", "remedy"} <= finding.keys()
        ]
        plan = [f"{fix['about']}: {fix['fix']}, with a test that fails without" for fix in fixes] or [
            f"Reproduce: {subject_of(task)}",
            "Find the first place where what happens is not what should",
            "Write a failing test for it, mend it, run all tests",
        ]
        return {
            "summary": f"{_counted(fixes, 'fix', 'fixes')} for {_counted(findings, 'finding')}.",
            "plan": plan,
            "fixes": fixes,
        }


class Coordinator(RoleAgent):
    """Divides a task among the other roles, by rules and without a model."""

    name = "coordinator"
    capabilities = ("coordinator", "planning")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        parts = [part.strip() for part in re.split(r"[;.\n]|,? and |, | then ", task) if part.strip()]
        assigned = [{"role": role_for(part), "task": part} for part in parts]
        roles = {part["role"] for part in assigned}
        if roles & {"frontend", "backend"} and "qa" not in roles:
            assigned.append({"role": "qa", "task": f"Review {subject_of(task)}"})
        return {
            "summary": f"Divided into {_counted(assigned, 'part')}; {len(earlier)} done before.",
            "plan": [f"{part['role']}: {part['task']}" for part in assigned],
            "assignments": assigned,
        }


class Researcher(RoleAgent):
    """Plans a research: questions, search terms and criteria. By rules, without a model; it reads no sources."""

    name = "researcher"
    capabilities = ("researcher", "research")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        subject = subject_of(task)
        terms = [entry["keyword"] for entry in keywords(task, 5)["keywords"]] or [subject]
        questions = [
            f"What exactly belongs to {subject}, and what does not?",
            f"What has changed in {subject} lately, and who says so?",
            f"Which figures about {subject} are there, from whom, and how were they found?",
            f"What speaks against what is commonly said about {subject}?",
        ]
        return {
            "summary": f"Research plan for {subject} with {_counted(questions, 'question')}; no sources were read.",
            "plan": [f"Answer: {question}" for question in questions],
            "questions": questions,
            "search_terms": [*terms, *(f"{subject} {kind}" for kind in ("overview", "statistics", "criticism"))],
            "known_before": [result["summary"] for result in earlier if result.get("summary")],
        }


class Analyst(RoleAgent):
    """Condenses what was found before: themes and main statements. By rules, without a model."""

    name = "analyst"
    capabilities = ("analyst", "analysis")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        text = " ".join(sentence for result in earlier for sentence in _sentences(result)) or task
        themes = keywords(text, 8)["keywords"]
        return {
            "summary": summary(text, 2)["summary"],
            "plan": [f"Look into {theme['keyword']}" for theme in themes[:5]] or ["Gather material first"],
            "themes": themes,
        }


def earlier_results(context: JSON, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Give the results of other roles that stand anywhere in the context."""
    if depth > DEEPEST or not isinstance(context, dict | list):
        return
    if isinstance(context, dict) and isinstance(context.get("role"), str) and isinstance(context.get("task"), str):
        yield context
        return
    for part in context.values() if isinstance(context, dict) else context:
        yield from earlier_results(part, depth + 1)


def role_for(task: str) -> str:
    """Give the role whose words a task has most of; the coordinator keeps what fits nobody."""
    words = set(re.findall(r"[a-z]+", task.lower()))
    scores = {role: len(words & set(known.split())) for role, known in ROLE_WORDS.items()}
    best = max(scores, key=lambda role: scores[role])
    return best if scores[best] else "coordinator"


def _findings(result: dict[str, Any]) -> Iterator[dict[str, str]]:
    thought_of = " ".join(_sentences(result)).lower()
    for topic in topics_of(result["task"]):
        for word, missing, remedy in topic.review:
            if word not in thought_of:
                yield {"about": subject_of(result["task"]), "finding": missing, "remedy": remedy}


def _sentences(result: dict[str, Any]) -> list[str]:
    plan = result.get("plan")
    parts = [result.get("summary"), *(plan if isinstance(plan, list) else [])]
    return [f"{part.rstrip('.')}." for part in parts if isinstance(part, str)]


def _counted(things: list[Any], one: str, many: str | None = None) -> str:
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"

"""The roles that plan, review and find out. Their rules go by the words of the task and what was done before it."""

import re
from collections.abc import Iterator
from typing import Any

from apps.agents.builtin.roles.base import RoleAgent, counted, sentences_of
from apps.agents.builtin.roles.topics import subject_of, topics_of
from apps.agents.builtin.text_processor.keywords import keywords
from apps.agents.builtin.text_processor.summary import summary

ROLE_WORDS = {
    "frontend": "ui page form component screen react button design layout dashboard",
    "backend": "api endpoint server database service auth webhook migration queue model",
    "qa": "test review check verify quality audit",
    "debugger": "fix bug debug crash error failure",
    "researcher": "research find sources trends compare market literature",
    "analyst": "analyze analyse data figures statistics report trend metrics",
}


class Frontend(RoleAgent):
    """Plans the user interface of a task: by a model, or by rules where there is only the demo model."""

    name = "frontend"
    capabilities = ("frontend", "ui")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        plan = [step for topic in topics_of(task) for step in topic.frontend]
        plan += [f"Connect it to: {subject_of(result['task'])}" for result in earlier if result["role"] == "backend"]
        return {"summary": f"Interface for {subject_of(task)}: {counted(plan, 'step')}.", "plan": plan}


class Backend(RoleAgent):
    """Plans the server side of a task: by a model, or by rules where there is only the demo model."""

    name = "backend"
    capabilities = ("backend", "api")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        plan = [step for topic in topics_of(task) for step in topic.backend]
        serves = [
            f"Serve what it needs: {subject_of(result['task'])}" for result in earlier if result["role"] == "frontend"
        ]
        return {
            "summary": f"Server side of {subject_of(task)}: {counted(plan + serves, 'step')}.",
            "plan": plan + serves,
        }


class Qa(RoleAgent):
    """Reviews earlier work for what it leaves open: by a model, or by rules where there is only the demo model."""

    name = "qa"
    capabilities = ("qa", "review", "testing")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        reviewed = earlier or [{"role": "author", "task": task, "plan": []}]
        findings = [finding for result in reviewed for finding in open_points(result)]
        plan = [f"Read the work on {subject_of(result['task'])}" for result in reviewed]
        plan += [f"Test: {finding['finding']}" for finding in findings]
        return {
            "summary": f"Reviewed {counted(reviewed, 'result')}, {counted(findings, 'finding')}.",
            "plan": plan,
            "findings": findings,
            "approved": not findings,
        }


class Debugger(RoleAgent):
    """Turns the findings of a review into fixes: by a model, or by rules where there is only the demo model."""

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
            "summary": f"{counted(fixes, 'fix', 'fixes')} for {counted(findings, 'finding')}.",
            "plan": plan,
            "fixes": fixes,
        }


class Coordinator(RoleAgent):
    """Divides a task among the other roles: by a model, or by rules where there is only the demo model."""

    name = "coordinator"
    capabilities = ("coordinator", "planning")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        parts = [part.strip() for part in re.split(r"[;.\n]|,? and |, | then ", task) if part.strip()]
        assigned = [{"role": role_for(part), "task": part} for part in parts]
        roles = {part["role"] for part in assigned}
        if roles & {"frontend", "backend"} and "qa" not in roles:
            assigned.append({"role": "qa", "task": f"Review {subject_of(task)}"})
        return {
            "summary": f"Divided into {counted(assigned, 'part')}; {len(earlier)} done before.",
            "plan": [f"{part['role']}: {part['task']}" for part in assigned],
            "assignments": assigned,
        }


class Researcher(RoleAgent):
    """The older name of `research`: finds things out by a model; by rules it only plans questions."""

    name = "researcher"
    capabilities = ("researcher", "research")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002
        subject = subject_of(task)
        terms = [entry["keyword"] for entry in keywords(task, 5)["keywords"]] or [subject]
        questions = [
            f"What exactly belongs to {subject}, and what does not?",
            f"What has changed in {subject} lately, and who says so?",
            f"Which figures about {subject} are there, from whom, and how were they found?",
            f"What speaks against what is commonly said about {subject}?",
        ]
        return {
            "summary": f"Research plan for {subject} with {counted(questions, 'question')}; no sources were read.",
            "plan": [f"Answer: {question}" for question in questions],
            "questions": questions,
            "search_terms": [*terms, *(f"{subject} {kind}" for kind in ("overview", "statistics", "criticism"))],
        }

    def beside(self, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        return {"known_before": [result["summary"] for result in earlier if result.get("summary")]}


class Research(Researcher):
    """Finds things out by a model and the tools it is given; by rules it only plans questions."""

    name = "research"
    capabilities = ("inquiry", "investigation")  # `research` stays with the older name: documents choose by it
    may_be_replaced = True


class Analyst(RoleAgent):
    """Condenses what was found before: by a model, or by rules where there is only the demo model."""

    name = "analyst"
    capabilities = ("analyst", "analysis")

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        text = " ".join(sentence for result in earlier for sentence in sentences_of(result)) or task
        themes = keywords(text, 8)["keywords"]
        return {
            "summary": summary(text, 2)["summary"],
            "plan": [f"Look into {theme['keyword']}" for theme in themes[:5]] or ["Gather material first"],
            "themes": themes,
        }


def role_for(task: str) -> str:
    """Give the role whose words a task has most of; the coordinator keeps what fits nobody."""
    words = set(re.findall(r"[a-z]+", task.lower()))
    scores = {role: len(words & set(known.split())) for role, known in ROLE_WORDS.items()}
    best = max(scores, key=lambda role: scores[role])
    return best if scores[best] else "coordinator"


def open_points(result: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Give what a piece of work leaves open, by what experience says about its subjects."""
    thought_of = " ".join(sentences_of(result)).lower()
    for topic in topics_of(result["task"]):
        for word, missing, remedy in topic.review:
            if word not in thought_of:
                yield {"about": subject_of(result["task"]), "finding": missing, "remedy": remedy}

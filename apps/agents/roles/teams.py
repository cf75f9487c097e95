"""Agents and teams in roles, as documents: what `agents save` and a run take, here or over HTTP."""

from typing import Any

from apps.agents.roles.answers import ANSWERS
from apps.agents.roles.catalogue import find_role

Document = dict[str, Any]


class AgentFactory:
    """Makes agents of an organization out of roles."""

    @staticmethod
    def create_agent(role: str, agent_id: str, llm_model: str = "default", temperature: float = 0.7) -> Document:
        """Give an agent with the role's built-in prompt: a document that `POST /v1/agent-definitions` takes.

        Once saved it is an agent of the organization by the name `agent_id`, with versions and a prompt of its own.
        `llm_model` is a model of the organization. Raises NotFound for a role that is not there.
        """
        found = find_role(role)
        agent: Document = {
            "title": found.title,
            "description": found.description,
            "instructions": found.prompt,
            "model": llm_model,
            "options": {"temperature": temperature},
            "output_schema": ANSWERS[found.name],
        }
        return {"name": agent_id, "agent": agent}


class WorkflowPatterns:
    """Teams of roles as `workflow_type` documents, which run as they are."""

    @staticmethod
    def full_stack_development_pipeline(goal: str) -> Document:
        """Give a team that plans a feature, its interface and its server beside each other, reviews, and mends."""
        goal = literal(goal)
        return _graph(
            "Full-stack development",
            _task("plan", "coordinator", goal),
            _task("interface", "frontend", f"Plan the user interface of: {goal}", "plan"),
            _task("server", "backend", f"Plan the server side of: {goal}", "plan"),
            _task("review", "qa", f"Review the plans for: {goal}", "interface", "server"),
            _task("fixes", "debugger", "Mend what the review has found", "review"),
        )

    @staticmethod
    def code_review_pipeline(code: str, language: str) -> Document:
        """Give three reviewers of the same code who work beside each other."""
        shown, named = literal(code), literal(language)
        tasks = {
            "correctness": ("qa", f"Review this {named} code: is it right, and how is it tested?"),
            "faults": ("debugger", f"Find faults in this {named} code, with their causes and fixes"),
            "design": (
                "critic",
                f"Object to the design of this {named} code: names, parts, what is hard to change",
            ),
        }
        return {
            "name": "Code review",
            "workflow_type": "parallel",
            "tasks": [
                {"agent_id": name, "agent_role": role, "input_data": {"task": task, "context": shown}}
                for name, (role, task) in tasks.items()
            ],
        }

    @staticmethod
    def coordinator_supervised_workflow(goal: str) -> Document:
        """Give a team whose coordinator divides the goal, and judges at the end what has come of it."""
        goal = literal(goal)
        return _graph(
            "Supervised by a coordinator",
            _task("lead", "coordinator", goal),
            _task("findings", "research", f"Find out what has to be known for: {goal}", "lead"),
            _task("interface", "frontend", f"Plan the user interface of: {goal}", "lead"),
            _task("server", "backend", f"Plan the server side of: {goal}", "lead"),
            _task("review", "qa", f"Review the work for: {goal}", "findings", "interface", "server"),
            _task("verdict", "coordinator", f"Judge what has been done, and assign what is left of: {goal}", "review"),
        )


def literal(text: str) -> str:
    """Give a text so that a document says just that: what looks like an expression in it is none."""
    return text.replace("{{", "{{ '{{' }}")


def _graph(name: str, *tasks: Document) -> Document:
    return {"name": name, "workflow_type": "graph", "tasks": list(tasks)}


def _task(name: str, role: str, task: str, *after: str) -> Document:
    written: Document = {"agent_id": name, "agent_role": role, "input_data": {"task": task}}
    return written | ({"depends_on": list(after)} if after else {})

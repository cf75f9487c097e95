"""Agents named by a role in a team: they ask a model with the role's prompt, or work by rules where there is none."""

from apps.agents.builtin.roles.agents import Analyst, Backend, Coordinator, Debugger, Frontend, Qa, Research, Researcher
from apps.agents.builtin.roles.making import Code, Critic, Writer

__all__ = [
    "Analyst",
    "Backend",
    "Code",
    "Coordinator",
    "Critic",
    "Debugger",
    "Frontend",
    "Qa",
    "Research",
    "Researcher",
    "Writer",
]

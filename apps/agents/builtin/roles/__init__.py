"""Agents named by a role in a team; they work by rules, not by a model."""

from apps.agents.builtin.roles.agents import Analyst, Backend, Coordinator, Debugger, Frontend, Qa, Researcher

__all__ = ["Analyst", "Backend", "Coordinator", "Debugger", "Frontend", "Qa", "Researcher"]

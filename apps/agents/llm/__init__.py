"""Agents made of instructions, a model and tools: what such an agent is, and the loop that it lives in."""

from apps.agents.llm.loop import Answer, Task, answer
from apps.agents.llm.spec import AgentSpec

__all__ = ["AgentSpec", "Answer", "Task", "answer"]

"""The agent that reads texts without a model."""

from apps.agents.builtin.text_processor.agent import TextProcessor

__all__ = ["TextProcessor"]

"""The agents that come with Orchestra; importing this package registers them."""

from apps.agents.builtin import assistant, data_analyzer, echo, onboarding, roles, text_processor

__all__ = ["assistant", "data_analyzer", "echo", "onboarding", "roles", "text_processor"]

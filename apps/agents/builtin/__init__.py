"""The agents that come with Orchestra; importing this package registers them."""

from apps.agents.builtin import echo

__all__ = ["echo"]

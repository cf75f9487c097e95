"""What is done with tools, and what the built-in tools do."""

from apps.integrations.services.invoking import ainvoke, invoke, look_up

__all__ = ["ainvoke", "invoke", "look_up"]

"""The agent that checks and describes tables without a model."""

from apps.agents.builtin.data_analyzer.agent import DataAnalyzer

__all__ = ["DataAnalyzer"]

"""Agents of other people, over the Agent2Agent protocol. Its SDK is imported by `conversation` alone."""

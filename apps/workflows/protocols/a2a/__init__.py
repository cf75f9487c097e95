"""Workflows and agents as agents of the Agent2Agent protocol: a task is a run, so it survives any process.

Imports the SDK: only to be imported at the first request, by `application`.
"""

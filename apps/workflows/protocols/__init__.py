"""Runs as other protocols see them: MCP (workflows are tools) and A2A (workflows and agents are agents).

What imports an SDK is imported at the first request for it.
"""

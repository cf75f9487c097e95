"""The wire forms of agents, of calls to them, and of those that are outside."""

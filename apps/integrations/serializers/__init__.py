"""The wire forms of tools, what they come from, models and their providers."""

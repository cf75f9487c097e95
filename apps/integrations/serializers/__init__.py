"""The wire forms of tools, models and their providers."""

"""Tools, what they come from, models and their providers over HTTP."""

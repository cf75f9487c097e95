"""Tools, models and their providers over HTTP."""

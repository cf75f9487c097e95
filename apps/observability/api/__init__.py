"""Usage and budgets over HTTP."""

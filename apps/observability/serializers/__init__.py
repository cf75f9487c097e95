"""The wire forms of usage and budgets."""

"""Accounting for what language models cost."""

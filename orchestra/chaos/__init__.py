"""Faults on purpose: a real Orchestra under load, broken by a plan, and what came of its runs."""

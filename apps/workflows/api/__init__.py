"""The REST API of workflows and runs."""

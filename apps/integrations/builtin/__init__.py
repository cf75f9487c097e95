"""The tools that come with Orchestra; importing this package registers them."""

from apps.integrations.builtin import http, notes, outbox

__all__ = ["http", "notes", "outbox"]

"""The format itself: nothing to translate."""

from typing import Any

from apps.workflows.engine.dialects.translation import Translation
from apps.workflows.engine.errors import Issue


class _Untranslated(Translation):
    def relocate(self, issue: Issue) -> Issue:
        return issue


def translate(document: dict[str, Any]) -> Translation:
    """The document as it is."""
    return _Untranslated(document, document)

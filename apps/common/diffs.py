"""What changed between two documents, line by line of their YAML."""

import difflib

from apps.common import yaml
from apps.common.json import JSON

KINDS = {"+": "added", "-": "removed", "@": "place"}


def yaml_diff(before: JSON, after: JSON) -> list[str]:
    """Give a unified diff, its two lines of heading first; empty where nothing has changed."""
    lines = yaml.dumps(before).splitlines(), yaml.dumps(after).splitlines()
    return list(difflib.unified_diff(*lines, "before", "after", lineterm="", n=2))


def lines_of_diff(diff: list[str]) -> list[tuple[str, str]]:
    """Give what a page shows of a diff: of each line what it is (`added`, `removed`, `place`, `same`), and itself."""
    return [(KINDS.get(line[:1], "same"), line) for line in diff[2:]]

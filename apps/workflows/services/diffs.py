"""What changed between two definitions."""

import difflib
from typing import Any

from apps.common.diffs import yaml_diff
from apps.common.json import JSON
from apps.workflows.engine.errors import pointer


def compare_versions(before: JSON, after: JSON) -> dict[str, JSON]:
    """`{changes, text}`: every difference by JSON Pointer, and a unified diff of the canonical YAML."""
    return {"changes": _changes(before, after, ""), "text": "\n".join(yaml_diff(before, after))}


def _changes(before: Any, after: Any, where: str) -> list[dict[str, Any]]:
    if before == after and type(before) is type(after):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        return _object_changes(before, after, where)
    if isinstance(before, list) and isinstance(after, list):
        return _list_changes(before, after, where)
    return [{"op": "changed", "pointer": where, "before": before, "after": after}]


def _object_changes(before: dict[str, Any], after: dict[str, Any], where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for key in [*before, *(key for key in after if key not in before)]:
        place = where + pointer(key)
        if key not in after:
            found.append({"op": "removed", "pointer": place, "before": before[key]})
        elif key not in before:
            found.append({"op": "added", "pointer": place, "after": after[key]})
        else:
            found += _changes(before[key], after[key], place)
    return found


def _list_changes(before: list[Any], after: list[Any], where: str) -> list[dict[str, Any]]:
    """Items that stayed are matched first, so that one inserted edge is one change and not many."""
    found: list[dict[str, Any]] = []
    keys = [[repr(item) for item in items] for items in (before, after)]
    for op, start, end, new_start, new_end in difflib.SequenceMatcher(
        a=keys[0], b=keys[1], autojunk=False
    ).get_opcodes():
        if op == "equal":
            continue
        pairs = min(end - start, new_end - new_start)
        for offset in range(pairs):
            found += _changes(before[start + offset], after[new_start + offset], where + pointer(new_start + offset))
        found += [
            {"op": "removed", "pointer": where + pointer(place), "before": before[place]}
            for place in range(start + pairs, end)
        ]
        found += [
            {"op": "added", "pointer": where + pointer(place), "after": after[place]}
            for place in range(new_start + pairs, new_end)
        ]
    return found

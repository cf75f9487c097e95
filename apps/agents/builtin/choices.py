"""Agents that do one of several things, named by `task_type`."""

from collections.abc import Mapping
from typing import TypeVar

from apps.common.errors import ErrorItem
from apps.common.registry import nearest
from apps.common.validation import InvalidInput

T = TypeVar("T")


def chosen(task_type: str, choices: Mapping[str, T], agent: str) -> T:
    """Give what `task_type` names, or raise InvalidInput that names the nearest one."""
    if task_type in choices:
        return choices[task_type]
    message = f"'{task_type}' is nothing that {agent} can do.{nearest(task_type, choices)}"
    raise InvalidInput(message, errors=[ErrorItem("/task_type", "unknown_task_type", message)])

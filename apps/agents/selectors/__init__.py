"""Reading the rows of agents, in the organization in scope."""

from apps.agents.selectors.definitions import (
    find_agent,
    find_version,
    names,
    newest_version,
    newest_versions,
    version_by_id,
)
from apps.agents.selectors.live import (
    able,
    decisions,
    find_instance,
    find_task,
    has_room,
    held_tasks,
    instances,
    load_of,
    open_tasks,
    spent_today,
    state_of,
)
from apps.agents.selectors.pins import PIN, Pinned, pin_of, pinned, read_pin
from apps.agents.selectors.roles import (
    RoleState,
    prompt_version,
    prompt_versions,
    role_state,
    roles,
)
from apps.agents.selectors.trials import Arm, arms, ended_trials, find_trial, trial_of, verdict

__all__ = [
    "PIN",
    "Arm",
    "Pinned",
    "RoleState",
    "able",
    "arms",
    "decisions",
    "ended_trials",
    "find_agent",
    "find_instance",
    "find_task",
    "find_trial",
    "find_version",
    "has_room",
    "held_tasks",
    "instances",
    "load_of",
    "names",
    "newest_version",
    "newest_versions",
    "open_tasks",
    "pin_of",
    "pinned",
    "prompt_version",
    "prompt_versions",
    "read_pin",
    "role_state",
    "roles",
    "spent_today",
    "state_of",
    "trial_of",
    "verdict",
    "version_by_id",
]

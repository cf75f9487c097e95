"""Reading what the organization in scope has made of the prompts of roles."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from apps.agents.models import RolePrompt
from apps.agents.roles.catalogue import ROLES, Role, find_role
from apps.common.errors import NotFound


@dataclass(frozen=True)
class RoleState:
    """A role with the prompt that works for the organization."""

    role: Role
    newest: RolePrompt | None  # None where the organization has never edited it

    @property
    def text(self) -> str:
        """Give the prompt that works."""
        own = self.newest.text if self.newest else None
        return self.role.prompt if own is None else own

    @property
    def version(self) -> int:
        """Give the number of the newest edit; 0 where there is none."""
        return self.newest.number if self.newest else 0

    @property
    def is_built_in(self) -> bool:
        """Tell whether it is the prompt that the role comes with."""
        return self.newest is None or self.newest.text is None

    @property
    def updated_at(self) -> datetime | None:
        """Give when it was last edited or set back."""
        return self.newest.created_at if self.newest else None

    @property
    def updated_by(self) -> str:
        """Give who did that."""
        return self.newest.created_by if self.newest else ""


def roles() -> list[RoleState]:
    """Give every role, in the order in which a team works."""
    newest: Mapping[str, RolePrompt] = {
        one.role: one for one in RolePrompt.objects.order_by("role", "-number").distinct("role")
    }
    return [RoleState(role, newest.get(role.name)) for role in ROLES]


def role_state(name: str) -> RoleState:
    """Give a role with its prompt; raises NotFound naming the nearest one."""
    role = find_role(name)
    return RoleState(role, prompt_versions(role.name).first())


def prompt_versions(role: str) -> QuerySet[RolePrompt]:
    """Give what the organization has made of a role's prompt, the newest first."""
    return RolePrompt.objects.filter(role=role).order_by("-number")


def prompt_version(role: str, number: int) -> RolePrompt:
    """Give one of them; raises NotFound."""
    found = prompt_versions(role).filter(number=number).first()
    if found is None:
        raise NotFound(f"The prompt of '{role}' has no version {number} here.", code="version_not_found")
    return found

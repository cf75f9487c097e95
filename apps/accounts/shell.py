"""What the frame around every page shows: a context processor that costs nothing until a template asks."""

from functools import cached_property
from typing import cast

from django.http import HttpRequest
from django_scopes import scope

from apps.accounts.models import Organization, User
from apps.accounts.pages import PageRequest, settle_page
from apps.common.errors import PermissionDenied
from apps.common.navigation import Link, navigation

THEMES = ("light", "dark")


class Shell:
    """The frame of one page."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = cast("PageRequest", request)

    @property
    def theme(self) -> str:
        """Give the colours that the person chose; empty: those of their system."""
        chosen = self.request.COOKIES.get("theme", "")
        return chosen if chosen in THEMES else ""

    @cached_property
    def organization(self) -> Organization | None:
        """Give the organization that the person is in, on error pages too."""
        user = getattr(self.request, "user", None)
        if not hasattr(self.request, "access") and isinstance(user, User):
            try:
                settle_page(self.request, user)
            except PermissionDenied:
                return None
        access = getattr(self.request, "access", None)
        return access.organization if access else None

    @property
    def organizations(self) -> list[Organization]:
        """Give the organizations that the person may switch to."""
        return [one.organization for one in self.request.memberships] if self.organization else []

    @cached_property
    def sections(self) -> list[list[tuple[Link, int]]]:
        """Give the navigation with its numbers."""
        if self.organization is None:
            return []
        with scope(organization=self.organization):
            return [[(link, link.count) for link in section] for section in navigation(self.request.path)]


def shell(request: HttpRequest) -> dict[str, Shell]:
    """Give templates the frame as `shell`."""
    return {"shell": Shell(request)}

"""What Orchestra wants of django-allauth: nobody signs up alone, and too many wrong passwords make an account rest."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from apps.accounts.access import account_bucket
from apps.common import limits


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # allauth has no types
    """Asks our limiter, which counts over all processes and does without Redis when it has to."""

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        """Accounts come from invitations and from the command line."""
        return False

    def pre_authenticate(self, _request: HttpRequest, **credentials: Any) -> None:
        """Refuse an account that had too many wrong passwords lately."""
        if not limits.hit([account_bucket(_name(credentials))]).allowed:
            raise self.validation_error("too_many_login_attempts")

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Give the user; a right password makes up for the wrong ones before it."""
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is not None:
            limits.forgive(account_bucket(_name(credentials))[0])
        return user

    def _rollback_login_failed_rl_usage(self) -> None:
        """Nothing of allauth's own limits was used."""


def _name(credentials: dict[str, Any]) -> str:
    return str(credentials.get("username") or credentials.get("email") or "")

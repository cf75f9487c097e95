"""Editing the prompts of roles for an organization, and setting them back."""

from django.db import IntegrityError, transaction

from apps.accounts.models import Organization
from apps.agents.models import RolePrompt
from apps.agents.roles.catalogue import LONGEST_PROMPT
from apps.agents.selectors import RoleState, role_state
from apps.agents.services.definitions import NewerVersion
from apps.common.errors import ErrorItem, Invalid


def save_prompt(
    *, organization: Organization, role: str, text: str, by: str, message: str = "", over: int | None = None
) -> RoleState:
    """Make this the prompt of the role in the organization; nothing where it is that already.

    Raises NotFound for a role that is not there, Invalid for a text that cannot be one, and NewerVersion where the
    newest version is no longer `over`, the one that was edited.
    """
    text = text.replace("\r\n", "\n").strip()
    _check(text)
    state = _unchanged(role, over)
    return state if state.text == text else _add(organization, state, text, by, message)


def reset_prompt(*, organization: Organization, role: str, by: str, over: int | None = None) -> RoleState:
    """Have the built-in prompt of the role work again; what was written stays among the versions.

    Raises as `save_prompt` does.
    """
    state = _unchanged(role, over)
    return state if state.is_built_in else _add(organization, state, None, by, "The built-in one again.")


def _check(text: str) -> None:
    problem = ""
    if not text:
        problem = "The prompt is empty. Write who the role is and how it answers, or set it back to the built-in one."
    elif len(text) > LONGEST_PROMPT:
        problem = f"The prompt has {len(text):,} letters; it may have {LONGEST_PROMPT:,}."
    elif "\0" in text:
        problem = "The prompt has a character with the code 0, which cannot be kept. Take it out."
    if problem:
        raise Invalid(problem, code="invalid_prompt", errors=[ErrorItem("/prompt", "invalid_prompt", problem)])


def _unchanged(role: str, over: int | None) -> RoleState:
    state = role_state(role)
    if over is not None and over != state.version:
        raise _newer(state)
    return state


def _add(organization: Organization, state: RoleState, text: str | None, by: str, message: str) -> RoleState:
    name = state.role.name
    try:
        with transaction.atomic():
            made = RolePrompt.objects.create(
                organization=organization,
                role=name,
                number=state.version + 1,
                text=text,
                message=message,
                created_by=by,
            )
    except IntegrityError:  # somebody has saved at the same moment; the number says who was first
        raise _newer(role_state(name)) from None
    return RoleState(state.role, made)


def _newer(state: RoleState) -> NewerVersion:
    message = f"The prompt of '{state.role.name}' has version {state.version} by now. Look at it, and repeat your edit."
    return NewerVersion(message, extra={"latest_version": state.version})

"""The roles of a team, and the prompts that an organization gives them."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.agents import selectors
from apps.agents.selectors import RoleState
from apps.agents.serializers.roles import (
    PromptVersionSerializer,
    RolePromptSerializer,
    RoleSerializer,
    SavePromptSerializer,
    prompt_json,
    prompt_version_json,
    role_json,
)
from apps.agents.services.definitions import NewerVersion
from apps.agents.services.roles import reset_prompt, save_prompt
from apps.common.errors import PreconditionFailed
from apps.common.etags import digest, etag, require_match
from apps.common.listing import BY_NAME, paginate_by_name
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING
from apps.common.serializers import checked


class RolesView(OrganizationView):
    """The roles."""

    query = {"GET": BY_NAME}

    @extend_schema(responses={200: page_of(RoleSerializer)}, operation_id="list_agent_roles")
    def get(self, request: Request) -> Response:
        """List the roles that agents come in, and whether the organization has edited their prompts."""
        return paginate_by_name(selectors.roles(), request, name=lambda state: state.role.name, serialize=role_json)


class RolePromptView(OrganizationView):
    """The prompt of a role."""

    capabilities = {"GET": "view", "PUT": "edit", "DELETE": "edit"}

    @extend_schema(responses={200: RolePromptSerializer}, operation_id="get_role_prompt")
    def get(self, _request: Request, role: str) -> Response:
        """Show the prompt that works, and beside it the one that is built in; its ETag guards an edit."""
        return _answer(selectors.role_state(role))

    @extend_schema(request=SavePromptSerializer, responses={200: RolePromptSerializer}, operation_id="save_role_prompt")
    def put(self, request: Request, role: str) -> Response:
        """Give the role another prompt in this organization, from its next task on.

        With `If-Match` (the ETag of the prompt you edited) somebody else's newer one is a 412 instead.
        """
        asked = checked(SavePromptSerializer, request)
        given = {"text": asked["prompt"], "message": asked["message"], **self._mine}
        return _answer(_guarded(request, role, lambda over: save_prompt(role=role, over=over, **given)))

    @extend_schema(responses={204: None}, operation_id="reset_role_prompt")
    def delete(self, request: Request, role: str) -> Response:
        """Have the built-in prompt work again; `If-Match` guards it as it does an edit."""
        _guarded(request, role, lambda over: reset_prompt(role=role, over=over, **self._mine))
        return Response(status=204)

    @property
    def _mine(self) -> dict[str, Any]:
        return {"organization": self.access.organization, "by": self.access.actor}


class PromptVersionsView(OrganizationView):
    """What the organization has made of a role's prompt."""

    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(PromptVersionSerializer)}, operation_id="list_role_prompt_versions")
    def get(self, request: Request, role: str) -> Response:
        """List the edits, the newest first; save the prompt of one again to go back to it."""
        found = selectors.prompt_versions(selectors.role_state(role).role.name)
        return paginate(found, request, serialize=prompt_version_json)


def _guarded(request: Request, role: str, act: Callable[[int | None], RoleState]) -> RoleState:
    """Do it over the very version that the caller has seen, if they say which."""
    state = selectors.role_state(role)
    require_match(request, _etag(state))
    try:
        return act(state.version if "If-Match" in request.headers else None)
    except NewerVersion as newer:
        if "If-Match" not in request.headers:
            raise
        raise PreconditionFailed(newer.detail, code="stale_etag") from None  # it came between the look and the write


def _answer(state: RoleState) -> Response:
    return Response(prompt_json(state), headers={"ETag": _etag(state)})


def _etag(state: RoleState) -> str:
    """The tag of a prompt as it is; a release that changes a built-in one changes that one's tag."""
    return etag("role", state.role.name, state.version, digest(state.text))

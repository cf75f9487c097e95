"""For which organization somebody acts and what they may do there: the gate in front of every endpoint."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_scopes import scope
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.callers import BearerAuthentication, Caller, SessionAuthentication, identify
from apps.accounts.models import ApiKey, Capability, Membership, Organization, Role, User
from apps.common import limits
from apps.common.errors import (
    BadRequest,
    NotFound,
    PermissionDenied,
    TooManyRequests,
    Unauthenticated,
)
from apps.common.limits import Bucket, parse_limit
from apps.common.parameters import Parameter, query_params

ORGANIZATION_HEADER = "Orchestra-Organization"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# For each group of endpoints what one key or person may do; ORCHESTRA_RATE_LIMITS in the settings changes them.
RATE_LIMITS = {
    "read": "12000/minute",
    "write": "3000/minute",
    "run": "6000/minute",
    "auth": "30/minute",  # by address
    "account": "5/5 minutes",  # failed sign-ins of one account
    "organization": "60000/minute",  # all that its members and keys do together
}


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody acting for one organization."""

    organization: Organization
    role: Role
    user: User | None = None
    api_key: ApiKey | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Give what is allowed: the role's capabilities, narrowed by the key's scopes."""
        allowed = self.role.capabilities
        scopes = self.api_key.scopes if self.api_key else None
        return frozenset(capability for capability in allowed if capability in scopes) if scopes else allowed

    def can(self, capability: str) -> bool:
        """Tell whether this is allowed."""
        return capability in self.capabilities

    def require(self, capability: str) -> None:
        """Raise PermissionDenied unless this is allowed."""
        if not self.can(capability):
            whose = f"The key's role '{self.role}'" if self.api_key else f"Your role '{self.role}'"
            narrowed = " (narrowed by its scopes)" if self.api_key and self.api_key.scopes else ""
            raise PermissionDenied(f"{whose}{narrowed} does not allow this: it needs '{capability}'.")

    @property
    def actor(self) -> str:
        """Give the name under which acts are recorded."""
        if self.api_key:
            return f"key:ork_live_{self.api_key.public_id}"
        return f"user:{self.user.username if self.user else 'nobody'}"


def access_of(request: Request | HttpRequest, slug: str | None = None) -> Access:
    """Give the access of a request outside of these views, such as a stream; raises as they do. For reading only.

    `slug` names the organization where the request has no header for it.
    """
    caller = identify(request)
    if caller is None:
        raise _nobody()
    return settle(caller, request.headers.get(ORGANIZATION_HEADER) or slug)


def settle(caller: Caller, slug: str | None) -> Access:
    """Give the caller's access to the organization they name, or to the only one they have."""
    if caller.api_key:
        key = caller.api_key
        if slug not in {None, key.organization.slug}:
            raise _no_organization(slug)
        return Access(key.organization, Role(key.role), api_key=key)
    membership = _membership(caller, slug)
    _check_token(caller, membership)
    return Access(membership.organization, Role(membership.role), user=caller.user)


def _membership(caller: Caller, slug: str | None) -> Membership:
    if slug is not None:
        found = [one for one in caller.memberships if one.organization.slug == slug]
        if not found:
            raise _no_organization(slug)
        return found[0]
    if not caller.memberships:
        raise PermissionDenied("You are not a member of any organization.", code="no_organization")
    if len(caller.memberships) > 1:
        slugs = [one.organization.slug for one in caller.memberships]
        raise BadRequest(
            f"You belong to several organizations; name one with the header '{ORGANIZATION_HEADER}': "
            f"{', '.join(slugs)}.",
            code="organization_required",
            extra={"organizations": slugs},
        )
    return caller.memberships[0]


def _check_token(caller: Caller, membership: Membership) -> None:
    """Refuse an access token from before the membership's last revocation, or from before it began."""
    if caller.token_versions is None:
        return
    if caller.token_versions.get(membership.organization_id.hex) != membership.token_version:
        raise Unauthenticated("The access token has been revoked; sign in again.", code="token_revoked")


def _no_organization(slug: str | None) -> NotFound:
    return NotFound(f"There is no organization '{(slug or '')[:50]}'.", code="organization_not_found")


def _nobody() -> Unauthenticated:
    return Unauthenticated("Send 'Authorization: Bearer' with an API key or an access token.")


class ApiView(APIView):
    """What every endpoint has: declared query parameters, a rate limit, and its headers.

    `query` names for each method the parameters it takes; any other is a 400. `throttle_group` is one of RATE_LIMITS,
    for all methods or by method; without it reading is `read` and everything else `write`.
    """

    permission_classes = ()
    query: ClassVar[Mapping[str, Mapping[str, Parameter]]] = {}
    throttle_group: ClassVar[str | Mapping[str, str] | None] = None
    metadata_class = None

    query_values: Mapping[str, Any]
    verdict: limits.Verdict | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check everything that is not the endpoint's own."""
        super().initial(request, *args, **kwargs)
        if not hasattr(self, self.asked):
            self.http_method_not_allowed(request)
        self.admit(request)
        self.throttle(request)
        self.query_values = query_params(request, self.query.get(self.asked.upper(), {}))

    @property
    def asked(self) -> str:
        """Give the name of the method that answers; HEAD is answered by GET."""
        method = (self.request.method or "get").lower()
        return "get" if method == "head" else method

    def admit(self, request: Request) -> None:
        """Raise unless the caller may come in; here everybody may."""

    def buckets(self, request: Request) -> Iterable[Bucket]:
        """Give what this request counts against."""
        yield bucket(self.group, f"address:{address_of(request)}")

    @property
    def group(self) -> str:
        """Give the group of endpoints whose limit applies."""
        method = self.asked.upper()
        group = self.throttle_group
        chosen = group.get(method) if isinstance(group, Mapping) else group
        return chosen or ("read" if method in SAFE_METHODS else "write")

    def throttle(self, request: Request) -> None:
        """Count the request, or raise TooManyRequests."""
        self.verdict = limits.hit(list(self.buckets(request)))
        refuse_excess(self.verdict)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Add what is left of the rate limit."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.verdict:
            response["RateLimit-Limit"] = str(self.verdict.limit)
            response["RateLimit-Remaining"] = str(self.verdict.remaining)
            response["RateLimit-Reset"] = str(round(self.verdict.reset + 0.5))
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class SignedInView(ApiView):
    """An endpoint for everybody who has signed in, whatever organizations they belong to."""

    authentication_classes = (BearerAuthentication, SessionAuthentication)
    caller: Caller

    def admit(self, request: Request) -> None:
        """Let in whom a key, a token or a session proves."""
        if not isinstance(request.auth, Caller):
            raise _nobody()
        self.caller = request.auth

    def buckets(self, request: Request) -> Iterable[Bucket]:
        """Count against the key or the person."""
        who = self.caller.api_key or self.caller.user
        yield bucket(self.group, f"caller:{who.pk if who else address_of(request)}")


class OrganizationView(SignedInView):
    """An endpoint of one organization: every query in its handlers sees that organization's rows only.

    `capabilities` says for each method what the caller must be allowed to do. `self.access` (and `request.access`)
    tell who is asking.
    """

    capabilities: ClassVar[Mapping[str, str]] = {
        "GET": "view",
        "POST": "edit",
        "PUT": "edit",
        "PATCH": "edit",
        "DELETE": "edit",
    }
    access: Access

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer within the organization's scope."""
        with ExitStack() as self.scopes:
            return super().dispatch(request, *args, **kwargs)

    def admit(self, request: Request) -> None:
        """Let in who belongs to the organization and may do this."""
        super().admit(request)
        self.access = settle(self.caller, request.headers.get(ORGANIZATION_HEADER))
        request.access = self.access  # type: ignore[attr-defined]
        self.access.require(self.capabilities[self.asked.upper()])
        self.scopes.enter_context(scope(organization=self.access.organization))

    def buckets(self, request: Request) -> Iterable[Bucket]:
        """Count against the key or the person, and against the organization."""
        yield from super().buckets(request)
        yield bucket("organization", str(self.access.organization.pk))


def bucket(group: str, whose: str) -> Bucket:
    """Give the limit of a group as it counts for one caller."""
    configured = {**RATE_LIMITS, **getattr(settings, "ORCHESTRA_RATE_LIMITS", {})}
    return f"{group}:{whose}", parse_limit(configured[group])


def account_bucket(username: str) -> Bucket:
    """Give the limit of wrong passwords for one account; a name that nobody has counts like any other."""
    return bucket("account", hashlib.sha256(username.casefold().encode()).hexdigest())


def refuse_excess(verdict: limits.Verdict) -> None:
    """Raise TooManyRequests unless the act is allowed."""
    if not verdict.allowed:
        wait = verdict.retry_after
        raise TooManyRequests(
            f"At most {verdict.limit} requests are allowed here for now; try again in {wait:.0f} s.",
            retry_after=wait,
        )


def address_of(request: Request | HttpRequest) -> str:
    """Give the client's address: the one that the last proxy of ours saw, never one the client made up."""
    hops: int = getattr(settings, "ORCHESTRA_TRUSTED_PROXIES", 0)
    forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", ""))
    seen = [part.strip() for part in forwarded.split(",") if part.strip()]
    if 0 < hops <= len(seen):
        return seen[-hops]
    return str(request.META.get("REMOTE_ADDR", ""))

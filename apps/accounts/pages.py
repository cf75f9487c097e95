"""The gate in front of every page, as `OrganizationView` is in front of every endpoint."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, cast
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django_scopes import scope

from apps.accounts import selectors
from apps.accounts.access import SAFE_METHODS, Access, bucket, refuse_excess
from apps.accounts.models import Capability, Membership, Role, User
from apps.common import limits
from apps.common.errors import PermissionDenied
from apps.common.problems import wants_page

ORGANIZATION_KEY = "organization"  # in the session: the slug of the organization that the person is in

P = ParamSpec("P")

if TYPE_CHECKING:

    class PageRequest(HttpRequest):
        """A request that has passed the gate."""

        user: User
        access: Access
        memberships: Sequence[Membership]
else:
    PageRequest = HttpRequest

View = Callable[Concatenate[PageRequest, P], HttpResponseBase]
Answer = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def page(needs: str = Capability.VIEW) -> Callable[[View[P]], Answer[P]]:
    """Let in who is signed in and may do this; every query in the view sees their organization's rows only.

    Who is not signed in goes to the sign-in and comes back; a role that does not allow it is a 403 page.
    `request.access` says for which organization and in which role the person acts.
    """

    def decorate(view: View[P]) -> Answer[P]:
        @wraps(view)
        def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not isinstance(request.user, User):
                return to_sign_in(request)
            admitted = admit(request, request.user)
            admitted.access.require(needs)
            with scope(organization=admitted.access.organization):
                response = view(admitted, *args, **kwargs)
                if isinstance(response, SimpleTemplateResponse):
                    response.render()  # its queries belong into the scope too
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        answer.needs = needs  # type: ignore[attr-defined] # by which the tests find every page
        return answer

    return decorate


def admit(request: HttpRequest, user: User) -> PageRequest:
    """Settle for which organization the person acts, and count the request."""
    admitted = cast("PageRequest", request)
    group = "read" if request.method in SAFE_METHODS else "write"
    refuse_excess(limits.hit([bucket(group, f"caller:{user.pk}")]))
    settle_page(admitted, user)
    return admitted


def settle_page(request: PageRequest, user: User) -> None:
    """Find the organization of the session among the person's own; without one it is the oldest."""
    request.memberships = selectors.memberships_of(user.pk)
    if not request.memberships:
        raise PermissionDenied("You are not a member of any organization.", code="no_organization")
    wanted = request.session.get(ORGANIZATION_KEY)
    found = (one for one in request.memberships if one.organization.slug == wanted)
    membership = next(found, request.memberships[0])
    request.access = Access(membership.organization, Role(membership.role), user=user)


def page_or(api: Callable[..., HttpResponseBase], of_page: Answer[P]) -> Callable[..., HttpResponseBase]:
    """Share one address between a page, for browsers, and an endpoint, for programs."""

    @wraps(of_page)
    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        chosen = of_page if is_browser(request) else api
        response = chosen(request, *args, **kwargs)
        response.headers.setdefault("Vary", "Accept, Cookie")
        return response

    answer.csrf_exempt = getattr(api, "csrf_exempt", False)  # type: ignore[attr-defined]
    answer.api = api  # type: ignore[attr-defined]
    return answer


def is_browser(request: HttpRequest) -> bool:
    """Tell whether a page is asked for, whole or in part."""
    return is_fragment(request) or wants_page(request)


def is_fragment(request: HttpRequest) -> bool:
    """Tell whether htmx asks for a part of a page, and not for a whole one."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """Send somebody to the sign-in, and from there back to where they wanted to go."""
    if request.headers.get("HX-Request") == "true":
        where = urlsplit(request.headers.get("HX-Current-URL", "/"))
        return HttpResponse(status=401, headers={"HX-Redirect": _sign_in_url(where.path, where.query)})
    return HttpResponseRedirect(_sign_in_url(request.path, request.META.get("QUERY_STRING", "")))


def _sign_in_url(path: str, query: str) -> str:
    target = f"{path}?{query}" if query else path
    return f"{settings.LOGIN_URL}?{urlencode({'next': target})}"

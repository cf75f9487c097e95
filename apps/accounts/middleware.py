"""The link that `bin/up` prints: `/?t=...` signs in, once, on this machine only."""

import ipaddress
from collections.abc import Callable

import structlog
from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

from apps.accounts.models import User
from apps.accounts.one_time_links import use_link

log = structlog.get_logger(__name__)


def one_time_sign_in(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Sign in who brings the token of a link (a middleware)."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        token = request.GET.get("t", "") if request.path == "/" and request.method == "GET" else ""
        if not token:
            return get_response(request)
        username = use_link(settings.ORCHESTRA_HOME, token) if is_local(request) else None
        user = User.objects.filter(username=username, is_active=True).first() if username else None
        if user is None:
            log.warning("A sign-in link was refused.", action="sign_in_link_refused")
            return HttpResponseRedirect("/" if request.user.is_authenticated else f"{settings.LOGIN_URL}?link=used")
        login(request, user)
        log.info("Somebody signed in with a link.", action="sign_in_link", user_id=str(user.pk))
        return HttpResponseRedirect("/")

    return answer


def is_local(request: HttpRequest) -> bool:
    """Tell whether the request comes from this machine, and not through a proxy that runs on it."""
    if any(name in request.META for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")):
        return False
    try:
        return ipaddress.ip_address(str(request.META.get("REMOTE_ADDR", ""))).is_loopback
    except ValueError:
        return False

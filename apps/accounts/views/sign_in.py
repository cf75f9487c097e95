"""Signing in and out and changing the password: django-allauth's views, behind our limits."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views as allauth
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render

from apps.accounts.access import address_of, bucket, refuse_excess
from apps.common import limits

View = Callable[..., HttpResponseBase]


def limited(view: View) -> View:
    """Count what one address sends."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            refuse_excess(limits.hit([bucket("auth", f"address:{address_of(request)}")]))
        return view(request, *args, **kwargs)

    return answer


sign_in = limited(allauth.login)
sign_out = limited(allauth.logout)
change_password = limited(allauth.password_change)
set_password = limited(allauth.password_set)
reset_done = allauth.password_reset_done
reset_from_key = limited(allauth.password_reset_from_key)
reset_from_key_done = allauth.password_reset_from_key_done
inactive = allauth.account_inactive


@limited
def reset_password(request: HttpRequest) -> HttpResponseBase:
    """Send a link for a new password; where no mail can be sent, say who helps instead."""
    if not settings.EMAIL_URL:
        return render(request, "account/password_reset_unavailable.html")
    answer: HttpResponseBase = allauth.password_reset(request)
    return answer

"""What holds for every endpoint of every app."""

from uuid import uuid4

import pytest
from django.urls import URLPattern, get_resolver

from apps.accounts.access import ApiView, OrganizationView, SignedInView
from apps.accounts.models import Capability
from tests.fixtures import client_with

METHODS = ("get", "post", "put", "patch", "delete")


def patterns(resolver, prefix=""):
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route, entry
        else:
            yield from patterns(entry, route)


def endpoints(kind):
    found = []
    for route, entry in patterns(get_resolver()):
        view = getattr(entry.callback, "view_class", None)
        if view and issubclass(view, kind):
            names = dict(entry.pattern.converters)
            path = "/" + route
            for name, converter in names.items():
                stand_in = "1" if type(converter).__name__ == "IntConverter" else str(uuid4())
                path = path.replace(f"<int:{name}>", stand_in).replace(f"<str:{name}>", stand_in)
                path = path.replace(f"<uuid:{name}>", stand_in).replace(f"<slug:{name}>", stand_in)
                path = path.replace(f"<path:{name}>", stand_in).replace(f"<{name}>", stand_in)
            found += [
                pytest.param(method, path, view, id=f"{method} /{route}") for method in METHODS if hasattr(view, method)
            ]
    return found


@pytest.mark.parametrize(("method", "path", "view"), endpoints(SignedInView))
def test_nobody_gets_in_without_a_credential(db, method, path, view):
    answer = client_with(None).generic(method.upper(), path, b"{}", content_type="application/json")

    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.parametrize(("method", "path", "view"), endpoints(SignedInView))
def test_an_unknown_query_parameter_is_never_ignored(alice, method, path, view):
    answer = alice.client.generic(method.upper(), f"{path}?no_such_thing=1", b"{}", content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")


@pytest.mark.parametrize(("method", "path", "view"), endpoints(OrganizationView))
def test_every_method_needs_a_capability_and_a_viewer_changes_nothing(bob, method, path, view):
    needed = view.capabilities[method.upper()]
    assert needed in set(Capability)

    answer = bob.client.generic(method.upper(), path, b"{}", content_type="application/json")

    assert (answer.status_code == 403) == (needed != "view"), answer.content


@pytest.mark.parametrize(("method", "path", "view"), endpoints(ApiView))
def test_an_unknown_id_or_an_empty_body_is_no_server_error(alice, method, path, view):
    answer = alice.client.generic(method.upper(), path, b"{}", content_type="application/json")

    assert answer.status_code < 500, answer.content


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"[[[]]]", b'{"": null}', b'{"name": {"a": [1]}}', b"{"])
@pytest.mark.parametrize(
    ("method", "path", "view"), [one for one in endpoints(ApiView) if one.values[0] in {"post", "put", "patch"}]
)
def test_a_senseless_body_is_no_server_error(alice, method, path, view, body):
    answer = alice.client.generic(method.upper(), path, body, content_type="application/json")

    assert answer.status_code < 500, answer.content


def test_the_endpoints_are_found():
    assert len(endpoints(ApiView)) >= 10

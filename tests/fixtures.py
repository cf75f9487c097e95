"""Alice owns Acme, Bob may only look at it, Charlie owns another organization and has no access."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import hypothesis
import pytest
from django.test import Client
from django_scopes import scope, scopes_disabled
from rest_framework.test import APIClient

from apps.accounts.models import ApiKey, Membership, Organization, Role, User
from apps.accounts.services.keys import create_key
from apps.common import ids, limits, redis
from apps.common.clock import now

PASSWORD = "correct horse battery staple"

# How long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("orchestra", deadline=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=20_000)  # for one file, see CONTRIBUTING.md
hypothesis.settings.load_profile("orchestra")


@dataclass(frozen=True)
class Actor:
    """A user with a membership, and a client that sends a key of the same role."""

    user: User
    organization: Organization
    role: Role
    key: ApiKey
    secret: str
    client: APIClient


def client_with(credential: str | None, **headers: str) -> APIClient:
    """Give a client that sends this key or token."""
    client = APIClient(headers=headers)
    if credential:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {credential}")
    return client


def make_actor(username: str, organization: Organization, role: Role) -> Actor:
    """Give a user of an organization with a key of their role."""
    user = User.objects.create_user(username, password=PASSWORD)
    Membership.objects.create(organization=organization, user=user, role=role)
    created = create_key(organization=organization, name=f"{username}'s", role=role, created_by=user)
    return Actor(user, organization, role, created.key, created.secret, client_with(created.secret))


@pytest.fixture(autouse=True)
def ids_of_today() -> Iterator[None]:
    """Ids never go back, so a test that moves the clock on would leave those of the next ones in the future."""
    yield
    ids._last_stamp = 0


@pytest.fixture
def organization(db: None) -> Organization:
    """Acme, whose rows the tests are about."""
    return Organization.objects.create(name="Acme", slug="acme")


@pytest.fixture
def other_organization(db: None) -> Organization:
    """Globex, which must never see them."""
    return Organization.objects.create(name="Globex", slug="globex")


@pytest.fixture
def alice(organization: Organization) -> Actor:
    """The owner of Acme."""
    return make_actor("alice", organization, Role.OWNER)


@pytest.fixture
def bob(organization: Organization) -> Actor:
    """A viewer of Acme."""
    return make_actor("bob", organization, Role.VIEWER)


@pytest.fixture
def charlie(other_organization: Organization) -> Actor:
    """The owner of Globex, with no access to Acme."""
    return make_actor("charlie", other_organization, Role.OWNER)


@dataclass
class Browser:
    """Clients for tests of pages; each signs in, as people do, when it is first asked for."""

    alice: Actor
    bob: Actor
    charlie: Actor

    @cached_property
    def owner(self) -> Client:
        """Alice's."""
        return signed_in(self.alice)

    @cached_property
    def viewer(self) -> Client:
        """Bob's."""
        return signed_in(self.bob)

    @cached_property
    def stranger(self) -> Client:
        """Charlie's, who owns another organization."""
        return signed_in(self.charlie)

    @cached_property
    def anonymous(self) -> Client:
        """Nobody's."""
        return Client(headers={"Accept": "text/html"})


def signed_in(actor: Actor) -> Client:
    """Give a client with a session, which asks for pages as a browser does."""
    client = Client(headers={"Accept": "text/html"})
    client.force_login(actor.user)
    return client


@pytest.fixture
def browser(alice: Actor, bob: Actor, charlie: Actor) -> Browser:
    """Alice, Bob, Charlie and nobody, each in a browser of their own."""
    return Browser(alice, bob, charlie)


@pytest.fixture
def in_scope(organization: Organization) -> Iterator[Organization]:
    """Acme's rows, for tests that query them directly."""
    with scope(organization=organization):
        yield organization


@pytest.fixture
def expired(alice: Actor) -> APIClient:
    """A client whose owner's key has expired."""
    created = create_key(organization=alice.organization, name="old", role=Role.OWNER)
    with scopes_disabled():
        ApiKey.objects.filter(pk=created.key.pk).update(expires_at=now() - timedelta(seconds=1))
    return client_with(created.secret)


Guard = Callable[..., Any]


@pytest.fixture
def guard(alice: Actor, bob: Actor, charlie: Actor, expired: APIClient) -> Guard:
    """Check an endpoint of one thing of Acme as everybody; gives the owner's answer.

    `guard("delete", f"/v1/api-keys/{key.pk}", needs="manage")`
    """

    def check(method: str, path: str, data: Any = None, *, needs: str = "view") -> Any:
        def ask(client: APIClient) -> Any:
            return (
                getattr(client, method)(path, data, format="json")
                if data is not None
                else getattr(client, method)(path)
            )

        assert ask(client_with(None)).status_code == 401, "anonymous"
        assert ask(expired).status_code == 401, "expired key"
        assert ask(charlie.client).status_code == 404, "another organization's owner"
        if needs != "view":
            assert ask(bob.client).status_code == 403, "viewer"
        answer = ask(alice.client)
        assert answer.status_code < 300, answer.data
        return answer

    return check


@pytest.fixture(autouse=True)
def whole_allowances(request: pytest.FixtureRequest) -> None:
    """Start every test with untouched rate limits."""
    redis.forget_silence()
    limits.forget_all(everywhere="db" in request.fixturenames)

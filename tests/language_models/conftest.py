"""An organization with a provider, and a way to ask its models."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django_scopes import scope

from apps.accounts.models import Organization
from apps.common.asyncio_loop import run_coroutine
from apps.integrations.language_models import Message, Reply, Request, reply_in
from apps.integrations.language_models.asking import Asker, ask
from apps.integrations.language_models.records import deaf
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.services import secrets
from apps.observability.models import Usage
from apps.observability.services.accounting import Origin
from tests.language_models.chat_server import ChatServer, chatting

KEY = "sk-test-0123456789abcdef"


class Desk:
    """Asks models for an organization, and reads what was noted of that."""

    def __init__(self, organization: Organization, settings: Any) -> None:
        self.organization, self._settings = organization, settings

    def provider(self, server: ChatServer, *, name: str = "local", **fields: Any) -> ModelProvider:
        self._settings.ORCHESTRA_EGRESS_ALLOW |= {server.address}
        with scope(organization=self.organization):
            key = secrets.keep(self.organization.pk, KEY)
            known = {"kind": "openai_compatible", "base_url": server.url} | fields
            return ModelProvider.objects.create(organization=self.organization, name=name, key=key, **known)

    def setting(self, provider: ModelProvider, name: str = "smart", **fields: Any) -> ModelSetting:
        with scope(organization=self.organization):
            return ModelSetting.objects.create(
                organization=self.organization, provider=provider, name=name, **{"model": "m", **fields}
            )

    def ask(
        self,
        model: str = "smart",
        text: str = "Hi",
        *,
        hear: Callable[[str], None] = deaf,
        by: Origin | None = None,
        **fields: Any,
    ) -> Reply:
        return reply_in(self.record(model, text, hear=hear, by=by, **fields))

    def record(
        self,
        model: str = "smart",
        text: str = "Hi",
        *,
        hear: Callable[[str], None] = deaf,
        by: Origin | None = None,
        **fields: Any,
    ) -> Any:
        origin = by or Origin(organization_id=self.organization.pk, agent="tester", caller="user:alice")
        request = Request(model=model, messages=(Message(role="user", content=text),), **fields)
        return run_coroutine(ask(request, 0, Asker(origin, hear)), timeout=60)

    def usage(self) -> list[Usage]:
        with scope(organization=self.organization):
            return list(Usage.objects.order_by("created_at", "id"))


@pytest.fixture
def desk(transactional_db: None, organization: Organization, settings: Any) -> Desk:
    return Desk(organization, settings)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chatting() as running:
        yield running


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries nobody waits long."""
    monkeypatch.setattr("apps.integrations.language_models.asking.FIRST_REST", 0.01)

"""What `bin/up` says when everything runs."""

from typing import Any

import psycopg
import pytest
from django.db import connection
from django_scopes import scope

from apps.accounts.models import Organization
from apps.integrations.models import ModelProvider, ModelSetting
from orchestra.access import Access
from orchestra.welcome import NO_MODEL, READY, has_model, welcome

ACCESS = Access("http://127.0.0.1:8000", "ork_live_x", "acme", "owner", None)


@pytest.mark.parametrize("known", [True, False])
def test_a_model_of_ones_own_is_hinted_at_until_there_is_one(known: bool) -> None:
    said = list(welcome(ACCESS, ACCESS.url, has_model=known))

    assert said[-1] == READY
    assert (NO_MODEL in said) is not known


def test_whether_there_is_one_is_asked_for_each_organization(
    transactional_db: None, organization: Organization, charlie: Any
) -> None:
    known = connection.get_connection_params()
    url = psycopg.conninfo.make_conninfo(
        **{name: known[name] for name in ("host", "port", "user", "password", "dbname") if known.get(name)}
    )

    before = has_model(url, organization.slug)
    with scope(organization=organization):
        provider = ModelProvider.objects.create(organization=organization, name="local", kind="openai_compatible")
        ModelSetting.objects.create(
            organization=organization, provider=provider, name="smart", model="m", is_default=True
        )

    assert not before
    assert has_model(url, organization.slug)
    assert not has_model(url, charlie.organization.slug)

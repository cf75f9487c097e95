"""What `bin/up` says when everything runs."""

from typing import Any

import psycopg
import pytest
from django.db import connection
from django_scopes import scope

from apps.accounts.models import Organization
from apps.integrations.models import ModelProvider, ModelSetting
from orchestra.access import Access
from orchestra.demo import is_first
from orchestra.welcome import NO_MODEL, READY, has_model, welcome
from tests.workflows.listed import listed, saved

ACCESS = Access("http://127.0.0.1:8000", "ork_live_x", "acme", "owner", None)


@pytest.mark.parametrize("known", [True, False])
def test_a_model_of_ones_own_is_hinted_at_until_there_is_one(known: bool) -> None:
    said = list(welcome(ACCESS, ACCESS.url, has_model=known))

    assert said[-1] == READY
    assert (NO_MODEL in said) is not known


@pytest.fixture
def url(transactional_db: None) -> str:
    """Where the rows of the tests are."""
    known = connection.get_connection_params()
    return psycopg.conninfo.make_conninfo(
        **{name: known[name] for name in ("host", "port", "user", "password", "dbname") if known.get(name)}
    )


def test_whether_there_is_one_is_asked_for_each_organization(
    url: str, organization: Organization, charlie: Any
) -> None:
    before = has_model(url, organization.slug)
    with scope(organization=organization):
        provider = ModelProvider.objects.create(organization=organization, name="local", kind="openai_compatible")
        ModelSetting.objects.create(
            organization=organization, provider=provider, name="smart", model="m", is_default=True
        )

    assert not before
    assert has_model(url, organization.slug)
    assert not has_model(url, charlie.organization.slug)


def test_the_first_workflow_is_run_once_in_each_organization(
    url: str, organization: Organization, charlie: Any
) -> None:
    before = is_first(url, organization.slug)
    listed(saved(organization, "hello"))

    assert before
    assert not is_first(url, organization.slug)
    assert is_first(url, charlie.organization.slug)

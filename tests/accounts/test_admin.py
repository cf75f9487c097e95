import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from apps.accounts.models import User
from apps.accounts.services.sign_in import sign_in
from tests.fixtures import PASSWORD


@pytest.fixture
def operator(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    return client


def accounts_models():
    return sorted(apps.get_app_config("accounts").get_models(), key=lambda model: model.__name__)


@pytest.mark.parametrize("model", accounts_models(), ids=lambda model: model.__name__)
def test_every_model_has_its_page(operator, alice, charlie, model):
    assert model in admin.site._registry
    assert operator.get(f"/admin/accounts/{model._meta.model_name}/").status_code == 200


def test_an_operator_sees_the_keys_of_all_organizations(operator, alice, charlie):
    page = operator.get("/admin/accounts/apikey/").content.decode()

    assert alice.key.public_id in page
    assert charlie.key.public_id in page


def test_no_page_shows_a_digest(operator, alice):
    sign_in(username="alice", password=PASSWORD, address="x")

    key = operator.get(f"/admin/accounts/apikey/{alice.key.pk}/change/").content.decode()
    tokens = operator.get("/admin/accounts/refreshtoken/").content.decode()

    assert alice.key.public_id in key
    assert alice.key.digest not in key
    assert "digest" not in tokens


@pytest.mark.parametrize("page", ["apikey/add/", "refreshtoken/add/", "idempotentrequest/add/"])
def test_what_services_make_is_not_made_by_hand(operator, page):
    assert operator.get(f"/admin/accounts/{page}").status_code == 403


def test_an_owner_is_no_operator(alice):
    client = Client()
    client.force_login(alice.user)

    assert client.get("/admin/accounts/apikey/").status_code == 302

import json

import pytest
from django.core.management import call_command
from django_scopes import scopes_disabled

from apps.accounts.management.commands import keys
from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.services.organizations import create_organization
from apps.common.commands import Exit
from apps.common.errors import BadRequest
from tests.fixtures import client_with


def test_a_new_organization_has_an_owner_and_a_key(db):
    created = create_organization(name="Acme & Sons")

    assert created.organization.slug == "acme-sons"
    assert created.owner.check_password(created.password)
    answer = client_with(created.api_key_secret).get("/v1/me").json()
    assert (answer["organization"]["slug"], answer["organization"]["role"]) == ("acme-sons", "owner")


def test_an_owner_may_found_a_second_one(db):
    first = create_organization(name="Acme", owner_username="ana", password="a long enough one")
    second = create_organization(name="Acme", owner_username="ana")

    assert (first.password, second.password) == ("a long enough one", None)
    assert [first.organization.slug, second.organization.slug] == ["acme", "acme-2"]
    with scopes_disabled():
        assert Membership.objects.filter(user=first.owner, role="owner").count() == 2


@pytest.mark.parametrize("name", ["研究所", "!!!", "💡"])
def test_a_name_without_latin_letters_has_a_slug_too(db, name):
    assert create_organization(name=name).organization.slug == "organization"


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_a_name_must_be_one(db, name):
    with pytest.raises(BadRequest):
        create_organization(name=name)

    assert not Organization.objects.exists()
    assert not User.objects.exists()


def test_secrets_are_not_shown_by_accident(db):
    created = create_organization(name="Acme")

    assert created.password not in repr(created)
    assert created.api_key_secret not in repr(created)


def run(capsys, *arguments: str):
    call_command(*arguments)
    return json.loads(capsys.readouterr().out)


def test_the_command_prints_all_that_is_needed_to_sign_in(db, capsys):
    printed = run(capsys, "organizations", "create", "Acme", "--json")

    assert (printed["organization"], printed["slug"], printed["username"]) == ("acme", "acme", "acme-owner")
    signed_in = client_with(None).post(
        "/v1/auth/token", {"username": printed["username"], "password": printed["password"]}, format="json"
    )
    assert signed_in.status_code == 200
    assert client_with(printed["api_key"]).get("/v1/me").status_code == 200


def test_the_command_lists_organizations(organization, other_organization, capsys):
    printed = run(capsys, "organizations", "list", "--json")

    assert [one["slug"] for one in printed["items"]] == ["acme", "globex"]


def test_the_command_makes_a_key_of_a_role(organization, other_organization, capsys):
    printed = run(capsys, "keys", "create", "--organization", "globex", "--role", "viewer", "--name", "ci", "--json")

    answer = client_with(printed["api_key"]).get("/v1/me").json()
    assert (answer["organization"]["slug"], answer["capabilities"]) == ("globex", ["view"])


def test_the_command_lists_an_organizations_keys(alice, charlie, capsys):
    printed = run(capsys, "keys", "list", "--organization", "acme", "--json")

    assert [key["name"] for key in printed["items"]] == ["alice's"]
    assert alice.secret not in json.dumps(printed)


@pytest.mark.parametrize(
    "name_of", [lambda key: str(key.pk), lambda key: str(key.pk)[-8:], lambda key: f"ork_live_{key.public_id}"]
)
def test_the_command_revokes_a_key(alice, capsys, name_of):
    run(capsys, "keys", "revoke", name_of(alice.key), "--yes", "--json")

    with scopes_disabled():
        assert ApiKey.objects.get(pk=alice.key.pk).revoked_at is not None


def test_the_command_does_not_revoke_another_organizations_key(alice, charlie):
    with pytest.raises(SystemExit) as stop:
        keys.Command().run_from_argv(["manage.py", "keys", "revoke", str(charlie.key.pk), "--yes"])

    assert stop.value.code == Exit.NOT_FOUND


def test_the_list_of_keys_fits_a_terminal(alice, capsys):
    call_command("keys", "list")

    lines = capsys.readouterr().out.splitlines()
    assert str(alice.key.pk) in lines[1]
    assert max(map(len, lines)) <= 80

"""access.json: what still works stays, what does not is made anew."""

import json
from pathlib import Path

import pytest
from django_scopes import scopes_disabled

from apps.accounts.models import ApiKey, User
from orchestra.access import read_access
from orchestra.prepare import renew_access

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:8000"


def test_the_first_start_makes_organization_owner_and_key(tmp_path: Path) -> None:
    access = renew_access(tmp_path, URL, own_database=True)

    owner = User.objects.get(username=access.username)
    assert owner.is_superuser
    assert access.password
    assert owner.check_password(access.password)
    assert read_access(tmp_path) == access
    assert (tmp_path / "access.json").stat().st_mode & 0o777 == 0o600


def test_the_next_start_keeps_what_works_and_renews_the_address(tmp_path: Path) -> None:
    first = renew_access(tmp_path, URL, own_database=True)

    second = renew_access(tmp_path, "http://127.0.0.1:8001", own_database=True)

    assert second.url == "http://127.0.0.1:8001"
    assert (second.api_key, second.password) == (first.api_key, first.password)


def test_a_revoked_key_is_replaced(tmp_path: Path) -> None:
    first = renew_access(tmp_path, URL, own_database=True)
    with scopes_disabled():
        ApiKey.objects.update(revoked_at="2026-01-01T00:00:00Z")

    assert renew_access(tmp_path, URL, own_database=True).api_key != first.api_key


def test_a_password_of_ones_own_stays_and_is_not_written_down(tmp_path: Path) -> None:
    first = renew_access(tmp_path, URL, own_database=True)
    owner = User.objects.get(username=first.username)
    owner.set_password("my own choice")
    owner.save()

    assert renew_access(tmp_path, URL, own_database=True).password is None
    owner.refresh_from_db()
    assert owner.check_password("my own choice")


def test_without_the_file_the_owner_of_the_machine_gets_in_again(tmp_path: Path) -> None:
    first = renew_access(tmp_path, URL, own_database=True)
    (tmp_path / "access.json").unlink()

    again = renew_access(tmp_path, URL, own_database=True)

    assert again.organization == first.organization
    assert User.objects.get(username=again.username).check_password(str(again.password))


def test_without_the_file_nobodys_password_changes_in_a_database_of_others(tmp_path: Path) -> None:
    first = renew_access(tmp_path, URL, own_database=True)
    (tmp_path / "access.json").write_text(json.dumps({"broken": True}))

    again = renew_access(tmp_path, URL, own_database=False)

    assert again.password is None
    assert User.objects.get(username=first.username).check_password(str(first.password))

import re
from datetime import UTC, datetime

import pytest
from django_scopes import scopes_disabled

from apps.accounts.models import ApiKey
from apps.accounts.services.keys import create_key

KEYS = "/v1/api-keys"


@pytest.fixture
def five_keys(alice):
    """Alice's first key and four more, three of them from the same moment."""
    made = [create_key(organization=alice.organization, name=f"key {n}").key for n in range(4)]
    with scopes_disabled():
        ApiKey.objects.filter(pk__in=[key.pk for key in made[:3]]).update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return made


def pages(client, url):
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.data
        yield [item["name"] for item in answer.json()["items"]]
        link = re.fullmatch(r'<http://testserver(.*)>; rel="next"', answer.get("Link", ""))
        assert bool(link) == (answer.json()["next_cursor"] is not None)
        url = link[1] if link else None


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 200])
@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("", ["key 3", "alice's", "key 2", "key 1", "key 0"]),
        ("&sort=-created_at", ["key 3", "alice's", "key 2", "key 1", "key 0"]),
        ("&sort=created_at", ["key 0", "key 1", "key 2", "alice's", "key 3"]),
    ],
)
def test_the_pages_together_are_the_list(alice, five_keys, limit, sort, names):
    found = list(pages(alice.client, f"{KEYS}?limit={limit}{sort}"))

    assert [name for page in found for name in page] == names
    assert all(len(page) == limit for page in found[:-1])


def test_a_row_added_meanwhile_moves_nothing(alice, five_keys):
    walk = pages(alice.client, f"{KEYS}?limit=2")
    first = next(walk)
    create_key(organization=alice.organization, name="late")

    assert [*first, *(name for page in walk for name in page)] == ["key 3", "alice's", "key 2", "key 1", "key 0"]


def test_a_list_has_only_its_organizations_rows(alice, charlie, five_keys):
    assert list(pages(charlie.client, KEYS)) == [["charlie's"]]


def test_another_organizations_cursor_shows_nothing_of_it(alice, charlie, five_keys):
    cursor = alice.client.get(f"{KEYS}?limit=1").json()["next_cursor"]

    answer = charlie.client.get(f"{KEYS}?cursor={cursor}").json()

    assert {item["name"] for item in answer["items"]} <= {"charlie's"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_parameter"),
        ("limit=201", "invalid_parameter"),
        ("limit=x", "invalid_parameter"),
        ("sort=name", "invalid_parameter"),
        ("sort=--created_at", "invalid_parameter"),
        ("sort=digest", "invalid_parameter"),
        ("cursor=x", "invalid_cursor"),
        ("cursor=%00", "invalid_parameter"),
        ("cursor=%C3%A4", "invalid_cursor"),
        ("cursor=WyIiXQ", "invalid_cursor"),
        ("colour=red", "unknown_parameter"),
    ],
)
def test_a_senseless_page_is_refused(alice, query, code):
    answer = alice.client.get(f"{KEYS}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["errors"]


def test_a_cursor_belongs_to_its_order(alice, five_keys):
    cursor = alice.client.get(f"{KEYS}?limit=1").json()["next_cursor"]

    answer = alice.client.get(f"{KEYS}?sort=created_at&cursor={cursor}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")

from uuid import UUID

import pytest

from apps.accounts.models import ApiKey
from apps.accounts.services.keys import create_key
from apps.common.errors import Conflict, NotFound
from apps.common.selectors import find_by_id


def key_with_id(organization, text: str) -> ApiKey:
    key = create_key(organization=organization, name=text).key
    ApiKey.objects.filter(pk=key.pk).update(id=UUID(text))
    return ApiKey.objects.get(pk=UUID(text))


@pytest.fixture
def key(in_scope) -> ApiKey:
    return key_with_id(in_scope, "01890000-0000-7000-8000-0123456789ab")


@pytest.mark.parametrize(
    "ref",
    [
        "01890000-0000-7000-8000-0123456789ab",
        "0189000000007000" + "80000123456789ab",
        "01890000-0000-7000-8000-0123456789AB",
        "456789ab",
        "6789ab",
        "8000-0123456789ab",
        "80000123456789AB",
    ],
)
def test_a_row_is_found_by_its_id_or_an_ending_of_it(key, ref):
    assert find_by_id(ApiKey.objects.all(), ref) == key


@pytest.mark.parametrize(
    "ref",
    [
        "89ab",
        "",
        "x",
        "%",
        "_6789ab",
        "6789ab%",
        "6789a_",
        "01890000",
        "../etc",
        "\0",
        "\ud800",
        "6789ab\n",
        "01890000-0000-7000-8000-000000000000",
        "0" * 33,
        "a" * 5000,
        "{456789ab}",
    ],
)
def test_what_is_no_rows_id_is_not_found(key, ref):
    with pytest.raises(NotFound) as caught:
        find_by_id(ApiKey.objects.all(), ref)

    assert caught.value.code == "api_key_not_found"
    assert len(caught.value.detail) < 100


def test_an_ending_of_two_ids_is_a_conflict_that_names_them(key, in_scope):
    other = key_with_id(in_scope, "01890000-0000-7000-8000-ffff456789ab")

    with pytest.raises(Conflict) as caught:
        find_by_id(ApiKey.objects.all(), "456789ab")

    assert caught.value.code == "ambiguous_id"
    assert str(key.pk) in caught.value.detail
    assert str(other.pk) in caught.value.detail
    assert find_by_id(ApiKey.objects.all(), "ffff456789ab") == other


def test_another_organizations_row_is_not_found(key, charlie):
    with pytest.raises(NotFound):
        find_by_id(ApiKey.objects.all(), charlie.key.pk)

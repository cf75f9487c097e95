import pytest

SITE = "https://app.example"
KEYS = "/v1/api-keys"


@pytest.fixture(autouse=True)
def one_site(settings):
    settings.CORS_ORIGINS = [SITE]


def test_an_allowed_site_may_ask_and_read(alice):
    asked = alice.client.options(KEYS, headers={"Origin": SITE, "Access-Control-Request-Method": "POST"})
    read = alice.client.get(KEYS, headers={"Origin": SITE})

    assert asked.status_code == 204
    assert "Authorization" in asked["Access-Control-Allow-Headers"]
    assert asked["Access-Control-Allow-Origin"] == read["Access-Control-Allow-Origin"] == SITE
    assert "Access-Control-Allow-Credentials" not in read
    assert "Origin" in read["Vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", SITE + ".evil.example", ""])
def test_another_site_may_not(alice, origin):
    asked = alice.client.options(KEYS, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    read = alice.client.get(KEYS, headers={"Origin": origin})

    for answer in (asked, read):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_without_sites_nothing_is_shared(alice, settings):
    settings.CORS_ORIGINS = []

    assert "Access-Control-Allow-Origin" not in alice.client.get(KEYS, headers={"Origin": SITE})

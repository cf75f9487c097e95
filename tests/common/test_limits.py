import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from apps.common import limits, redis
from apps.common.limits import Limit, parse_limit


@pytest.fixture
def name() -> str:
    return uuid4().hex


@pytest.fixture(params=["redis", "memory"])
def store(request, settings, monkeypatch):
    """Both places where allowances are counted."""
    if request.param == "redis":
        request.getfixturevalue("django_db_setup")
    else:
        monkeypatch.setattr(redis, "_silent_until", time.monotonic() + 1000)
    redis.client.cache_clear()
    yield request.param
    redis.client.cache_clear()


def allowed(name, limit, times=1):
    return [limits.hit([(name, limit)]).allowed for _ in range(times)]


def test_as_many_are_allowed_as_the_limit_says(store, name):
    assert allowed(name, Limit(3, 60), 5) == [True, True, True, False, False]


def test_an_allowance_comes_back_bit_by_bit(store, name):
    limit = Limit(2, 0.6)
    assert allowed(name, limit, 3) == [True, True, False]

    time.sleep(0.35)

    assert allowed(name, limit, 2) == [True, False]


def test_a_verdict_says_what_is_left_and_when_to_come_back(store, name):
    limit = Limit(2, 60)

    first, second, third = (limits.hit([(name, limit)]) for _ in range(3))

    assert [first.remaining, second.remaining, third.remaining] == [1, 0, 0]
    assert first.retry_after == second.retry_after == 0
    assert 29 < third.retry_after <= 30
    assert 59 < third.reset <= 60


def test_what_one_limit_refuses_is_not_counted_by_another(store, name):
    wide, narrow = (f"{name}:wide", Limit(10, 60)), (f"{name}:narrow", Limit(1, 60))
    limits.hit([wide, narrow])

    refused = limits.hit([wide, narrow])

    assert not refused.allowed
    assert refused.limit == 1
    assert limits.hit([wide]).remaining == 8


def test_names_do_not_share_allowances(store, name):
    assert allowed(name, Limit(1, 60)) == allowed(name + "x", Limit(1, 60)) == [True]


def test_what_is_forgiven_is_allowed_again(store, name):
    assert allowed(name, Limit(1, 60), 2) == [True, False]

    limits.forgive(name)

    assert allowed(name, Limit(1, 60)) == [True]


def test_threads_count_together(store, name):
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(lambda _: limits.hit([(name, Limit(10, 60))]).allowed, range(40)))

    assert verdicts.count(True) == 10


@pytest.fixture
def asked(monkeypatch):
    """Every time that somebody turned to Redis; a rest lasts longer than any test."""
    times = []
    client = redis.client
    monkeypatch.setattr(redis, "REST_SECONDS", 1000)
    monkeypatch.setattr(redis, "client", lambda: times.append(1) or client())
    client.cache_clear()
    yield times
    client.cache_clear()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "10.255.255.1:6379"], ids=["dead", "without an answer"])
def test_a_silent_redis_costs_one_short_wait(settings, name, asked, address):
    settings.REDIS_URL = f"redis://{address}/0"

    verdicts = allowed(name, Limit(2, 60), 50)

    assert len(asked) == 1
    assert verdicts.count(True) == 2


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("600/minute", Limit(600, 60)),
        ("5/5 minutes", Limit(5, 300)),
        ("1/second", Limit(1, 1)),
        ("9/2hours", Limit(9, 7200)),
    ],
)
def test_limits_are_read_as_settings_write_them(text, limit):
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["", "600", "0/minute", "-1/minute", "600/fortnight", "600/minute!"])
def test_a_limit_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match="not a rate limit"):
        parse_limit(text)

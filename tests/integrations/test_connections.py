"""Requests share connections, however many there are at once and however they end."""

import asyncio
import threading

import pytest

from apps.common.asyncio_loop import Cancelled, run_coroutine
from apps.common.errors import Retryable
from apps.integrations.egress import connections, fetch, transport
from tests.integrations.servers import Answer, Received, Server, canary, holding, serving

MANY = connections.EACH * 3


@pytest.fixture
def transports(monkeypatch: pytest.MonkeyPatch) -> list[connections.SpreadPool]:
    """The pools of a process that has not asked for anything yet."""
    made: list[connections.SpreadPool] = []

    class Noted(connections.SpreadPool):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(transport, "SpreadPool", Noted)
    monkeypatch.setattr(transport, "_transports", type(transport._transports)())
    return made


def under_way(made: list[connections.SpreadPool]) -> int:
    return sum(shared.under_way for pool in made for shared in pool._pools)


async def get_all(server: Server, count: int) -> list[int]:
    answers = await asyncio.gather(*(fetch("GET", server.url) for _ in range(count)))
    return [answer.status for answer in answers]


def test_more_than_a_pool_holds_are_under_way_at_once(settings, transports):
    all_here = threading.Barrier(MANY)

    def together(_: Received) -> Answer:
        all_here.wait(30)
        return Answer()

    with serving(together) as server:
        settings.ORCHESTRA_EGRESS_ALLOW |= {server.address}

        assert run_coroutine(get_all(server, MANY)) == [200] * MANY

    assert under_way(transports) == 0


def test_connections_of_all_pools_are_used_again(settings, transports):
    with serving() as server:
        settings.ORCHESTRA_EGRESS_ALLOW |= {server.address}

        for _ in range(3):
            run_coroutine(get_all(server, MANY))

    assert len({received.peer for received in server.received}) <= MANY


def test_what_fails_makes_room(settings, transports):
    with canary() as (port, _):
        pass  # nobody listens there any more
    settings.ORCHESTRA_EGRESS_ALLOW |= {f"127.0.0.1:{port}"}

    with pytest.raises(Retryable):
        run_coroutine(fetch("GET", f"http://127.0.0.1:{port}/"))

    assert transports
    assert under_way(transports) == 0


def test_what_is_cancelled_makes_room(settings, transports):
    with holding() as held, serving(held) as server:
        settings.ORCHESTRA_EGRESS_ALLOW |= {server.address}

        with pytest.raises(Cancelled):
            run_coroutine(fetch("GET", server.url), cancelled=lambda: bool(server.received))

    assert transports
    assert under_way(transports) == 0

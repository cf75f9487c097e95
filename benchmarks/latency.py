"""How soon a submit is answered under load, and how soon a browser sees what has happened."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
from redis import Redis
from redis.client import PubSub

from benchmarks.house import House
from benchmarks.measuring import quantile
from benchmarks.ours import Client, Ours, chain_of
from benchmarks.report import Row
from benchmarks.sizes import Sizes

RATE_TO_REACH, POST_P99_TO_REACH, LIVE_P95_TO_REACH = 400, 60, 500
STREAM_NODES, STREAM_NODE_SECONDS = 5, 0.3
HOPS = 200


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """Submits with nobody working and with a worker on the same cores; events to their readers."""
    ours.saved("latency", json.dumps(chain_of(1)))
    ours.house.stop_workers()
    yield from _submits(ours.house, sizes, "nothing else running", RATE_TO_REACH, POST_P99_TO_REACH)
    ours.house.start_workers(1)
    yield from _submits(ours.house, sizes, "a worker executing them", None, None)
    ours.wait_until_idle()
    yield _live(ours, sizes)


def _submits(house: House, sizes: Sizes, beside: str, rate: float | None, p99: float | None) -> Iterator[Row]:
    body = json.dumps({"input": {}}).encode()
    health, least = _under_load(house, sizes, lambda client: client.send("GET", "/health"))
    posts, times = _under_load(house, sizes, lambda client: client.send("POST", "/v1/workflows/latency/run", body))
    what = f"POST a run, {sizes.connections} connections, {beside}"
    yield Row(f"{what}: rate", posts, "requests/s", rate, {"GET /health": health})
    for share, to_reach in ((0.5, None), (0.99, p99)):
        reference = {"GET /health": quantile(least, share)}
        yield Row(f"{what}: p{share * 100:.0f}", quantile(times, share), "ms", to_reach, reference)


def _under_load(house: House, sizes: Sizes, ask: Callable[[Client], object]) -> tuple[float, list[float]]:
    """Requests per second, and the milliseconds that each took."""
    mine = threading.local()

    def timed(_: int) -> float:
        if not hasattr(mine, "client"):
            mine.client = Client(house.access)
        began = time.perf_counter()
        ask(mine.client)
        return (time.perf_counter() - began) * 1000

    with ThreadPoolExecutor(sizes.connections) as pool:
        list(pool.map(timed, range(sizes.connections * 2)))
        began = time.perf_counter()
        times = list(pool.map(timed, range(sizes.posts)))
        return sizes.posts / (time.perf_counter() - began), times


def _live(ours: Ours, sizes: Sizes) -> Row:
    """Milliseconds from an event's row to its reader. The row has the time at which its transaction began."""
    ours.saved("live", json.dumps(chain_of(STREAM_NODES, STREAM_NODE_SECONDS)))
    seen = asyncio.run(_watch_all(ours, sizes.streams))
    hops = _hops(ours.house.valkey.url)
    return Row(
        f"event to reader, {sizes.streams} streams: p95",
        quantile(seen, 0.95),
        "ms",
        LIVE_P95_TO_REACH if sizes.streams >= 100 else None,  # noqa: PLR2004 - the size that the figure is about
        {"a Valkey hop": quantile(hops, 0.95)},
    )


async def _watch_all(ours: Ours, streams: int) -> list[float]:
    headers = {"Authorization": f"Bearer {ours.house.access.api_key}"}
    limits = httpx.Limits(max_connections=streams)
    async with httpx.AsyncClient(base_url=ours.house.access.url, headers=headers, limits=limits, timeout=60) as client:
        watched = await asyncio.gather(*(_watch(client) for _ in range(streams)))
    return [latency for latencies in watched for latency in latencies]


async def _watch(client: httpx.AsyncClient) -> list[float]:
    """Start a run, open its stream, and give how old each later event was when it came."""
    started = (await client.post("/v1/workflows/live/run", json={"input": {}})).json()
    seen, opened = [], None
    async with client.stream("GET", started["events_url"], headers={"Accept": "text/event-stream"}) as stream:
        async for line in stream.aiter_lines():
            opened = opened or datetime.now(UTC)
            if line.startswith("data: "):
                at = datetime.fromisoformat(json.loads(line[6:])["at"])
                if at > opened:
                    seen.append((datetime.now(UTC) - at).total_seconds() * 1000)
    return seen


def _hops(redis_url: str) -> list[float]:
    """Milliseconds that a message takes through Valkey and back to who sent it."""
    with Redis.from_url(redis_url) as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("benchmark")
        subscription.get_message(timeout=1)
        return [_hop(client, subscription) for _ in range(HOPS)]


def _hop(client: Redis, subscription: PubSub) -> float:
    began = time.perf_counter()
    client.publish("benchmark", b"now")
    while subscription.get_message(timeout=1) is None:
        pass
    return (time.perf_counter() - began) * 1000

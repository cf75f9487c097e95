"""What open run pages cost the web process while nothing happens."""

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

from benchmarks.house import memory_of
from benchmarks.ours import Ours
from benchmarks.report import Row
from benchmarks.sizes import Sizes

MEMORY_TO_REACH, TO_REACH_AT = 250, 1000  # MiB, streams
AT_A_TIME = 50  # that are opened


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """The memory of the web process with many idle streams open."""
    ours.saved("idle", json.dumps({"nodes": {"wait": {"type": "wait", "event": "never"}}}))
    run = ours.client.post("/v1/workflows/idle/run", {"input": {}})
    before = memory_of(ours.house, "web")
    with_streams = asyncio.run(_with_streams(ours, run["events_url"], sizes.idle_streams))
    ours.client.post(f"/v1/runs/{run['id']}/cancel", {})
    to_reach = MEMORY_TO_REACH if sizes.idle_streams >= TO_REACH_AT else None
    yield Row(
        f"memory of the web, {sizes.idle_streams:,} idle streams",
        with_streams,
        "MiB",
        to_reach,
        {"without a stream": before},
    )


async def _with_streams(ours: Ours, path: str, count: int) -> float:
    places = asyncio.Semaphore(AT_A_TIME)

    async def opened() -> asyncio.StreamWriter:
        async with places:
            return await _open(ours, path)

    writers = await asyncio.gather(*(opened() for _ in range(count)))
    try:
        return await asyncio.to_thread(memory_of, ours.house, "web")
    finally:
        for writer in writers:
            writer.close()


async def _open(ours: Ours, path: str) -> asyncio.StreamWriter:
    """A connection on which the stream's first event has come."""
    where = urlsplit(ours.house.access.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    headers = (f"GET {path} HTTP/1.1", f"Host: {where.netloc}", f"Authorization: Bearer {ours.house.access.api_key}")
    writer.write("\r\n".join((*headers, "Accept: text/event-stream", "", "")).encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"GET {path}: {status!r}")
    await reader.readuntil(b"data: ")
    return writer

"""How many answers of language models one worker hears at a time."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import httpx

from benchmarks import talker
from benchmarks.ours import Ours
from benchmarks.report import Row
from benchmarks.sizes import Sizes
from orchestra.house import wait_until

SECONDS = 2.0  # that an answer takes
TO_REACH, TO_REACH_AT = 4.0, 200  # seconds, calls


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """A run that asks many questions at once, beside the same questions from a program that does nothing else."""
    calls = sizes.runs
    with talking(SECONDS):
        ours.answers(calls, talker.URL)  # what is slow the first time only: connections, code
        took = median(ours.answers(calls, talker.URL).seconds for _ in range(sizes.repeats))
        alone = asyncio.run(_alone(calls))
    what = f"{calls} answers of {SECONDS:g} s each at once, on one worker"
    yield Row(what, took, "s", TO_REACH if calls >= TO_REACH_AT else None, {"httpx alone": alone})


@contextmanager
def talking(seconds: float) -> Iterator[None]:
    """The model server in a process of its own, until the block ends."""
    command = [sys.executable, "-m", "benchmarks.talker", str(talker.PORT), str(seconds)]
    process = subprocess.Popen(command)  # noqa: S603 - it is ours
    try:
        wait_until(_answers, "the model server does not answer")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers() -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", talker.PORT)) == 0


async def _alone(calls: int) -> float:
    question = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:

        async def ask() -> None:
            async with client.stream("POST", f"{talker.URL}/chat/completions", json=question) as answer:
                async for _ in answer.aiter_lines():
                    pass

        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(calls)))
        return time.perf_counter() - began

"""More than can be done: one organization floods, and another works beside it as ever."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx
import psutil

from orchestra.chaos import work
from orchestra.chaos.load import Submitted, client_of, order, submit_once
from orchestra.chaos.stage import Demand, Stage
from orchestra.chaos.verdict import Verdict, quantile

FLOODERS = 16
BREATH_SECONDS = 0.02  # what a client waits that does not care for Retry-After
NODE_SECONDS = (0.05, 0.2)
NEIGHBOUR, NEIGHBOUR_SECONDS, WARM_UP_SECONDS = "neighbour", 0.25, 5.0
MOST_SLOWER, MOST_MEMORY = 2.0, 1.2  # times what it was in quiet

# What somebody sets who has to keep organizations apart on one small machine: without a share the flood takes what
# processor there is, and a neighbour's run takes about four times as long.
SETTINGS = {"ORCHESTRA_ORGANIZATION_QUEUE": "100", "ORCHESTRA_ORGANIZATION_SHARE": "16"}


@dataclass
class Flood:
    """Submits from many threads, whatever is answered."""

    client: httpx.Client
    seed: int
    submitted: Submitted = field(default_factory=Submitted)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def pouring(self) -> Iterator[None]:
        """Submit until the block ends."""
        threads = [threading.Thread(target=self._pour, daemon=True) for _ in range(FLOODERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _pour(self) -> None:
        while not self._stop.is_set():
            self._submit(next(self._numbers))

    def _submit(self, number: int) -> None:
        self.submitted.asked += 1
        answer = submit_once(self.client, self.submitted, number, order(number, NODE_SECONDS, self.seed))
        if answer is None or answer.status != HTTPStatus.ACCEPTED:
            self._stop.wait(BREATH_SECONDS)


@dataclass
class Neighbour:
    """Another organization that runs a workflow now and then, and waits for its end."""

    client: httpx.Client
    took: list[tuple[float, float]] = field(default_factory=list)  # when it asked, and seconds to the end
    failed: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Go on until the block ends."""
        definition = work.six_nodes() | {"name": NEIGHBOUR}
        self.client.post("/v1/workflows", json=definition).raise_for_status()
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _work(self) -> None:
        body = {"input": {"number": 1, "delay": 0.05}}
        while not self._stop.wait(NEIGHBOUR_SECONDS):
            at, began = time.time(), time.perf_counter()
            got = self.client.post(f"/v1/workflows/{NEIGHBOUR}/run?wait=30", json=body)
            if got.status_code == HTTPStatus.OK:
                self.took.append((at, time.perf_counter() - began))
            else:
                self.failed += 1


def flood(stage: Stage) -> None:
    """Let a neighbour work alone, and then beside an organization that submits as fast as it can."""
    house = stage.faults.house
    assert house is not None  # noqa: S101 - the scenario plays in one
    neighbour = Neighbour(client_of(house.access.url, _another_organization()))
    pouring = Flood(stage.client, stage.options.seed)
    with neighbour.working():
        time.sleep(WARM_UP_SECONDS)
        with stage.phase("quiet"):
            time.sleep(stage.options.seconds / 3)
        with pouring.pouring():
            time.sleep(WARM_UP_SECONDS)
            before = _memory(stage)
            with stage.phase("flooded"):
                stage.rest(stage.options.seconds)
            stage.figures["memory_growth"] = _memory(stage) / before
    stage.submitted = pouring.submitted
    for phase in stage.phases:
        took = [seconds for at, seconds in neighbour.took if phase.holds(at)]
        stage.figures[f"neighbour_{phase.name}_p50"] = quantile(took, 0.5) or 0
        stage.figures[f"neighbour_{phase.name}_p99"] = quantile(took, 0.99) or 0
    stage.figures["neighbour_refused"] = neighbour.failed
    stage.figures["asked_per_second"] = pouring.submitted.asked / (stage.options.seconds + WARM_UP_SECONDS)


def refused_and_nothing_worse(stage: Stage, _verdict: Verdict) -> list[Demand]:
    """What is too much is refused with a time to come back, and costs a neighbour little (B12)."""
    answers, figures = stage.submitted.answers, stage.figures
    refused = [answer for answer in answers if answer.status == HTTPStatus.TOO_MANY_REQUESTS]
    stage.figures["refused"] = len(refused)
    quiet = figures["neighbour_quiet_p99"]
    return [
        Demand(
            "answers of 500 and above", sum(answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR for answer in answers), 0
        ),
        Demand("refused at all", len(refused), 1, at_least=True),
        Demand("429 without Retry-After", sum(answer.retry_after is None for answer in refused), 0),
        Demand("a neighbour's runs that were refused", figures["neighbour_refused"], 0),
        Demand("a neighbour's runs beside those in quiet, p99", figures["neighbour_flooded_p99"] / quiet, MOST_SLOWER),
        Demand("memory beside that at the beginning", figures["memory_growth"], MOST_MEMORY),
    ]


def _another_organization() -> str:
    from apps.accounts.services.organizations import create_organization  # noqa: PLC0415 - it needs Django
    from apps.common.database import release_connection  # noqa: PLC0415

    try:
        return create_organization(name="Neighbour").api_key_secret
    finally:
        release_connection()


def _memory(stage: Stage) -> float:
    """Bytes that web and workers hold."""
    house = stage.faults.house
    assert house is not None  # noqa: S101
    running = [child.process for name, child in house.supervisor.children.items() if name.startswith(("web", "worker"))]
    return float(sum(psutil.Process(process.pid).memory_info().rss for process in running if process))

"""A client that keeps submitting runs, as one should: with an Idempotency-Key, and again until it has an answer."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import Any
from uuid import uuid4

import httpx

from orchestra.chaos import work

SUBMITTERS = 8
ANSWER_SECONDS = 10.0
GIVE_UP_SECONDS = 120.0
WORTH_REPEATING = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})
LOOK_SECONDS, COUNT_SECONDS = 0.05, 0.25


@dataclass(frozen=True)
class Pace:
    """How runs are submitted: so many, so many a second, and never more of them going on than so many."""

    rate: float
    runs: int | None = None
    most_open: int | None = None
    node_seconds: tuple[float, float] = (0.2, 1.0)


@dataclass(frozen=True)
class Answer:
    """One answer to one try."""

    at: float
    seconds: float
    status: int
    retry_after: str | None = None


@dataclass
class Submitted:
    """What became of the submits."""

    asked: int = 0
    accepted: dict[int, str] = field(default_factory=dict)  # by number: the run's id, as the 202 said
    given_up: list[int] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)  # by the kind of what went wrong with the connection

    def statuses(self) -> Counter[int]:
        """How often each status came."""
        return Counter(answer.status for answer in self.answers)


class Load:
    """Submits from threads of its own until `finish`; `ended` tells how many of the runs have ended so far."""

    def __init__(self, client: httpx.Client, pace: Pace, ended: Callable[[], int], seed: int) -> None:
        self.client, self.pace, self.ended = client, pace, ended
        self.submitted = Submitted()
        self._seed, self._ended_seen, self._looked = seed, 0, 0.0
        self._key = uuid4().hex  # another load with the same numbers is something else
        self._numbers: queue.Queue[int | None] = queue.Queue()
        self._stop, self._abandoned = threading.Event(), False
        self._threads = [threading.Thread(target=self._submit_all, daemon=True) for _ in range(SUBMITTERS)]
        self._pacer = threading.Thread(target=self._keep_pace, daemon=True)

    def start(self) -> None:
        """Begin."""
        for thread in (*self._threads, self._pacer):
            thread.start()

    def finish(self) -> Submitted:
        """Ask for no more, and return when every submit has its answer."""
        self._stop.set()
        self._pacer.join()
        for _ in self._threads:
            self._numbers.put(None)
        for thread in self._threads:
            thread.join()
        return self.submitted

    def abandon(self) -> None:
        """Stop at once."""
        self._abandoned = True
        self.finish()

    def wait_all_asked(self, seconds: float) -> None:
        """Return when as many runs have been asked for as the pace says."""
        self._pacer.join(seconds)

    def _keep_pace(self) -> None:
        began = time.monotonic()
        while not self._stop.is_set() and self.submitted.asked != self.pace.runs:
            if self.submitted.asked < (time.monotonic() - began) * self.pace.rate and self._has_room():
                self.submitted.asked += 1
                self._numbers.put(self.submitted.asked)
            else:
                self._stop.wait(min(LOOK_SECONDS, 1 / self.pace.rate))

    def _has_room(self) -> bool:
        most = self.pace.most_open
        if most is not None and time.monotonic() - self._looked > COUNT_SECONDS:
            self._ended_seen, self._looked = self.ended(), time.monotonic()
        return most is None or self.submitted.asked - self._ended_seen < most

    def _submit_all(self) -> None:
        while (number := self._numbers.get()) is not None:
            self._submit(number)

    def _submit(self, number: int) -> None:
        body = order(number, self.pace.node_seconds, self._seed)
        ends = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < ends and not self._abandoned:
            answer = submit_once(self.client, self.submitted, number, body, self._key)
            if answer is not None and answer.status == HTTPStatus.ACCEPTED:
                return
            if answer is not None and answer.status not in WORTH_REPEATING:
                break
            time.sleep(_rest(answer))
        self.submitted.given_up.append(number)


def submit_once(
    client: httpx.Client, submitted: Submitted, number: int, body: dict[str, Any], key: str | None = None
) -> Answer | None:
    """One try, noted with what came of it; None where no answer came."""
    at, began = time.time(), time.perf_counter()
    headers = {"Idempotency-Key": f"{key}-{number}"} if key else {}
    try:
        got = client.post(f"/v1/workflows/{work.NAME}/run", json=body, headers=headers)
    except httpx.TransportError as error:
        submitted.unanswered[type(error).__name__] += 1
        return None
    answer = Answer(at, time.perf_counter() - began, got.status_code, got.headers.get("Retry-After"))
    submitted.answers.append(answer)
    if answer.status == HTTPStatus.ACCEPTED:
        submitted.accepted[number] = str(got.json()["id"])
    return answer


def order(number: int, seconds: tuple[float, float], seed: int) -> dict[str, Any]:
    """What the run of this number is asked with."""
    given = work.given(number, seconds, Random(f"{seed} {number}"))  # noqa: S311
    return {"input": given, "labels": {"number": str(number)}}


def _rest(answer: Answer | None) -> float:
    """As long as the answer says, and a moment when there was none."""
    return float(answer.retry_after) if answer and answer.retry_after else 0.2


def client_of(url: str, key: str) -> httpx.Client:
    """A client of the API that waits for no answer for ever."""
    return httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=ANSWER_SECONDS,
        limits=httpx.Limits(max_connections=SUBMITTERS * 2),
    )

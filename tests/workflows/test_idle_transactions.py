"""D24. The guard that stands in all tests of this directory, and that it would see what it is there for."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from django.db import transaction as django_transaction

from apps.common import redis
from apps.workflows.store import progress
from apps.workflows.store.database import transaction
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.idle_transactions import Guard, WaitedInTransactionError
from tests.workflows.probes import Probes, probe


def connect() -> None:
    with socket.socket() as closed:
        closed.connect(("127.0.0.1", 9))


def send() -> None:
    with socket.socket() as closed:
        closed.sendall(b"hint")


WAYS_TO_WAIT: dict[str, Callable[[], object]] = {
    "sleep": lambda: time.sleep(0),
    "connect": connect,
    "send": send,
    "start a process": lambda: subprocess.run(["true"], check=True),
}


@pytest.mark.parametrize("wait", WAYS_TO_WAIT.values(), ids=WAYS_TO_WAIT)
def test_waiting_inside_a_transaction_fails_the_test(
    transactional_db: None, waiting: Guard, wait: Callable[[], object]
) -> None:
    for opened in (transaction, django_transaction.atomic):
        with opened(), pytest.raises(WaitedInTransactionError):
            wait()

    assert len(waiting.seen) >= 2
    waiting.seen.clear()


def test_waiting_while_a_run_is_locked_is_seen(room: EngineRoom, calls: Probes, waiting: Guard) -> None:
    run = room.start(workflow({"a": probe("a")}))

    with transaction() as tx:
        progress.lock_run(tx, run)
        with pytest.raises(WaitedInTransactionError):
            time.sleep(0)

    waiting.seen.clear()


def test_outside_of_one_or_beside_one_anybody_may_wait(transactional_db: None) -> None:
    with transaction():
        beside = threading.Thread(target=time.sleep, args=[0])
        beside.start()
        beside.join()

    time.sleep(0)
    redis.client().ping()


def test_a_body_may_wait_though_its_result_is_written_in_a_transaction(room: EngineRoom, calls: Probes) -> None:
    calls["a"] = lambda task, ctx: time.sleep(0)

    assert room.finish(workflow({"a": probe("a")})).status == "completed"

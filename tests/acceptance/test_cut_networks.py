"""Networks that are cut or silent: nobody waits for them longer than the settings say, and the work goes on."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus

import psutil
import psycopg
import pytest

from orchestra.chaos.faults import by_port, port_of
from orchestra.chaos.proxy import Behaviour, FaultProxy
from orchestra.programs import worker
from tests.acceptance.orchestra_process import RunningOrchestra, Start, wait_until

LEASE_SECONDS = 2
Proxies = dict[str, FaultProxy]


@pytest.fixture(scope="module")
def proxies(database_url: str, redis_url: str) -> Iterator[Proxies]:
    """Proxies before PostgreSQL, Redis and an address of the internet that never answers."""
    with ExitStack() as stack:
        targets = {"postgres": port_of(database_url), "redis": port_of(redis_url), "internet": port_of(redis_url)}
        yield {name: stack.enter_context(FaultProxy("127.0.0.1", port)) for name, port in targets.items()}


@pytest.fixture(scope="module")
def orchestra(start: Start, proxies: Proxies, database_url: str, redis_url: str) -> RunningOrchestra:
    """One whose Redis is behind a proxy, and whose tools may reach the silent address."""
    proxies["internet"].behave(Behaviour(silent=True))
    return start(
        "--no-demo",
        DATABASE_URL=database_url,
        REDIS_URL=by_port(redis_url, proxies["redis"].port),
        ORCHESTRA_LEASE_SECONDS=str(LEASE_SECONDS),
        ORCHESTRA_EGRESS_ALLOW=f"127.0.0.1:{proxies['internet'].port}",
    ).wait_ready()


def submit(orchestra: RunningOrchestra, node: dict[str, object]) -> str:
    answer = orchestra.call("POST", "/v1/runs", json={"definition": {"name": "cut", "nodes": {"only": node}}})
    assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
    return str(answer.json()["id"])


def echo(seconds: float) -> dict[str, object]:
    return {"type": "agent", "agent": "echo", "input": {"delay": seconds}}


def wait_ended(orchestra: RunningOrchestra, run: str) -> dict[str, object]:
    def show() -> dict[str, object]:
        return dict(orchestra.call("GET", f"/v1/runs/{run}").json())

    wait_until(lambda: show()["status"] in {"completed", "failed", "cancelled"}, 60, lambda: orchestra.output)
    return show()


def test_submits_are_answered_and_done_while_redis_is_silent(orchestra: RunningOrchestra, proxies: Proxies) -> None:
    proxies["redis"].behave(Behaviour(silent=True))
    try:
        runs = [submit(orchestra, echo(0.01)) for _ in range(10)]

        ended = [wait_ended(orchestra, run)["status"] for run in runs]
    finally:
        proxies["redis"].behave(Behaviour())

    assert ended == ["completed"] * 10


def test_a_worker_that_begins_while_redis_is_silent_works(orchestra: RunningOrchestra, proxies: Proxies) -> None:
    proxies["redis"].behave(Behaviour(silent=True))
    try:
        orchestra.children()["worker1"].kill()

        ended = wait_ended(orchestra, submit(orchestra, echo(0.01)))
    finally:
        proxies["redis"].behave(Behaviour())

    assert ended["status"] == "completed"


def test_a_tool_gives_up_on_an_address_that_is_silent(orchestra: RunningOrchestra, proxies: Proxies) -> None:
    url = f"http://127.0.0.1:{proxies['internet'].port}/"

    run = wait_ended(
        orchestra, submit(orchestra, {"type": "tool", "tool": "http.request", "input": {"url": url, "timeout": 1}})
    )

    assert run["status"] == "failed"
    assert run["error"]["code"] == "timeout"  # type: ignore[index]
    assert proxies["internet"].connections >= 1


def test_what_a_worker_holds_whose_database_is_silent_is_done_by_another(
    orchestra: RunningOrchestra, proxies: Proxies, database_url: str
) -> None:
    mine, cut_off = orchestra.children()["worker1"], start_cut_off_worker(orchestra, proxies, database_url)
    try:
        mine.suspend()
        run = submit(orchestra, echo(2 * LEASE_SECONDS))
        wait_until(lambda: holder_of(run, database_url) == cut_off.pid, 30)

        proxies["postgres"].behave(Behaviour(silent=True))
        mine.resume()
        ended = wait_ended(orchestra, run)

        assert ended["status"] == "completed"
        assert outcomes(ended) == ["lost", "completed"]
        proxies["postgres"].behave(Behaviour())
        wait_until(lambda: is_alive(cut_off.pid, database_url), 60)
    finally:
        mine.resume()
        cut_off.kill()
        cut_off.wait()


def start_cut_off_worker(orchestra: RunningOrchestra, proxies: Proxies, database_url: str) -> "subprocess.Popen[bytes]":
    """A worker more, whose PostgreSQL is behind a proxy."""
    ours = psutil.Process(orchestra.children()["worker1"].pid).environ()
    through_proxy = {"DATABASE_URL": by_port(database_url, proxies["postgres"].port)}
    with (orchestra.home / "cut_off.log").open("wb") as log:
        process = worker(9, ours | through_proxy).popen(log)
    wait_until(lambda: is_alive(process.pid, database_url), 60)
    return process


def is_alive(pid: int, database_url: str) -> bool:
    sql = (
        "select 1 from workflows_worker where pid = %s and stopped_at is null"
        " and heartbeat_at > clock_timestamp() - make_interval(secs => %s)"
    )
    with psycopg.connect(database_url) as connection:
        return bool(connection.execute(sql, [pid, LEASE_SECONDS]).fetchone())


def holder_of(run: str, database_url: str) -> int | None:
    sql = (
        "select w.pid from workflows_noderun n join workflows_worker w on w.id = n.worker"
        " where n.run_id = %s and n.status = 'running'"
    )
    with psycopg.connect(database_url) as connection:
        row = connection.execute(sql, [run]).fetchone()
        return row and int(row[0])


def outcomes(run: dict[str, object]) -> list[str]:
    return [attempt["outcome"] for attempt in run["nodes"][0]["attempts"]]  # type: ignore[index]

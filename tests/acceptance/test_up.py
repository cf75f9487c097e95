"""`bin/up`, from outside: what a newcomer sees, and what survives."""

import itertools
import os
import shutil
import socket
import subprocess

import psutil
import pytest

from tests.acceptance.orchestra_process import ROOT, RunningOrchestra, Start, wait_until

# Three are promised; a machine that does much else lets even a thread that only talks wait.
SILENCE_SECONDS = 30


@pytest.mark.skipif(shutil.which("curl") is None, reason="This machine has no curl to paste the lines to.")
def test_the_curl_lines_it_prints_work_when_pasted(orchestra: RunningOrchestra) -> None:
    lines = [line for line in orchestra.lines if line.startswith("curl ")]

    answers = [
        subprocess.run(
            ["/bin/sh", "-c", f"{line} -o /dev/null -w '%{{http_code}}'"], check=False, capture_output=True, text=True
        )
        for line in lines
    ]

    assert len(lines) == 3
    assert [answer.stdout[0] for answer in answers] == ["2", "2", "2"], answers


def test_it_says_how_to_use_a_model_of_ones_own(orchestra: RunningOrchestra) -> None:
    assert sum("bin/manage models add" in line for line in orchestra.lines) == 1


def test_it_is_never_silent_for_long(orchestra: RunningOrchestra) -> None:
    times = [orchestra.started, *orchestra.times]

    longest = max(later - earlier for earlier, later in itertools.pairwise(times))
    assert longest < SILENCE_SECONDS


def test_access_json_opens_the_api_and_is_private(orchestra: RunningOrchestra) -> None:
    mode = (orchestra.home / "access.json").stat().st_mode & 0o777

    assert mode == 0o600
    assert set(orchestra.access) == {"url", "api_key", "organization", "username", "password"}
    assert orchestra.call("GET", "/v1/me").status_code == 200


def test_doctor_finds_nothing_wrong(orchestra: RunningOrchestra) -> None:
    doctor = subprocess.run(
        [str(ROOT / "bin" / "manage"), "doctor"],
        env=os.environ | {"ORCHESTRA_HOME": str(orchestra.home)},
        check=False,
        capture_output=True,
        text=True,
    )

    assert doctor.returncode == 0, doctor.stdout
    assert "0 failures, 0 warnings." in doctor.stdout


def test_everything_listens_on_loopback_only(orchestra: RunningOrchestra) -> None:
    addresses = {
        connection.laddr.ip
        for process in orchestra.children().values()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert addresses == {"127.0.0.1"}


def test_a_second_one_says_so_and_names_the_address(orchestra: RunningOrchestra, start: Start) -> None:
    second = start(beside=True)

    code = second.wait_ended()

    assert code == 0
    assert f"runs already at {orchestra.access['url']}" in second.output


def test_a_worker_that_is_killed_starts_again(orchestra: RunningOrchestra) -> None:
    first = orchestra.children()["worker1"]

    first.kill()

    wait_until(lambda: orchestra.pids()["worker1"] != first.pid, explain=lambda: orchestra.output)
    assert "killed by SIGKILL; starting again" in orchestra.output


def test_a_killed_postgres_comes_back_and_the_api_with_it(orchestra: RunningOrchestra) -> None:
    orchestra.children()["postgres"].kill()

    wait_until(lambda: orchestra.call("GET", "/v1/me").status_code == 200, explain=lambda: orchestra.output)


def test_ctrl_c_ends_everything(orchestra: RunningOrchestra) -> None:
    children = list(orchestra.children().values())

    orchestra.interrupt()

    assert orchestra.process.returncode == 0
    assert not [child for child in children if child.is_running()]


def test_the_next_start_is_warm_and_knows_the_key(orchestra: RunningOrchestra, start: Start) -> None:
    key = orchestra.access["api_key"]

    again = start().wait_ready()

    assert "nothing has changed since the last start" in again.output
    assert "of its sample: completed" in orchestra.output
    assert "of its sample" not in again.output, "the first workflow is run once"
    assert "accepting connections" not in again.output
    assert again.access["api_key"] == key
    assert again.call("GET", "/v1/me").status_code == 200


def test_after_a_kill_of_up_alone_the_next_start_ends_what_it_left(newest: RunningOrchestra, start: Start) -> None:
    left = newest.children()
    newest.process.kill()

    again = start().wait_ready()

    assert "ended what an earlier start left running" in again.output
    assert not [name for name, child in left.items() if child.is_running()]
    assert again.call("GET", "/v1/me").status_code == 200


def test_after_a_kill_of_everything_the_next_start_works(newest: RunningOrchestra, start: Start) -> None:
    newest.kill_everything()

    again = start().wait_ready()

    assert again.call("GET", "/v1/me").status_code == 200


def test_a_busy_port_is_said_and_the_next_one_taken(newest: RunningOrchestra, start: Start) -> None:
    newest.end()
    port = newest.port
    with socket.create_server(("127.0.0.1", port)):
        other = start().wait_ready()

    assert f"port {port} is busy: taking {port + 1}" in other.output
    assert other.call("GET", "/v1/me").status_code == 200


def test_reset_asks_first(start: Start) -> None:
    asked = start("--reset")

    code = asked.wait_ended()

    assert code == 2
    assert "add --yes" in asked.output


def test_a_postgres_and_a_redis_of_ones_own_replace_the_embedded_ones(
    start: Start, database_url: str, redis_url: str
) -> None:
    own = start(DATABASE_URL=database_url, REDIS_URL=redis_url).wait_ready()

    assert set(own.children()) == {"fork1", "fork2", "web1", "web2", "worker1"}
    assert own.call("GET", "/v1/me").status_code == 200

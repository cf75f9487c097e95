"""The embedded PostgreSQL and Valkey."""

import os
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from orchestra import embedded


def test_the_role_of_the_product_is_no_superuser(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert row == (False, False, False)


def test_the_database_has_the_vector_extension(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT '[1,2]'::vector <-> '[1,3]'::vector").fetchone()

    assert row == (1.0,)


def test_a_wrong_password_is_refused(database_url: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database_url, password="wrong")


def test_valkey_keeps_what_it_has_rather_than_evict_it(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        policy = client.info("memory")["maxmemory_policy"]
        appends = client.info("persistence")["aof_enabled"]

    assert (policy, appends) == ("noeviction", 1)


def test_valkey_asks_for_the_password(redis_url: str) -> None:
    port = urlsplit(redis_url).port
    assert port

    with redis.Redis(port=port, retry=None) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_busy_port_is_passed_over() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        busy = other.getsockname()[1]

        assert embedded.free_port(busy) > busy


def test_secrets_can_be_read_by_their_owner_only(services_home: Path, database_url: str, redis_url: str) -> None:
    secret_files = [
        services_home / "services.json",
        services_home / "postgres" / "superuser",
        services_home / "valkey" / "valkey.conf",
    ]

    assert [path.stat().st_mode & 0o777 for path in secret_files] == [0o600] * 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another place")
def test_under_a_closed_directory_root_keeps_the_state_outside(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    account = embedded.unprivileged_account()

    directory = embedded.service_directory(tmp_path / "home", "postgres", account)

    assert embedded.reachable(directory / "data", account)
    assert (tmp_path / "home" / "postgres").resolve() == directory
    embedded.remove_state(tmp_path / "home")
    assert not directory.exists()


def test_a_server_that_lost_its_supervisor_is_ended_by_the_next_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = embedded.prepare_valkey(home)
    left = server.program.popen(subprocess.DEVNULL)
    server.wait_ready()

    again = embedded.prepare_valkey(home)

    assert left.wait(5) == 0
    assert again.port == server.port
    embedded.remove_state(home)

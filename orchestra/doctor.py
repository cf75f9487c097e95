"""What `doctor` looks at. Each check says what it found and, where something is wrong, what to do."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now
from django.db.utils import InterfaceError
from django_scopes import scopes_disabled

from apps.agents import discovery
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.services import secrets
from apps.workflows.models import Worker
from apps.workflows.selectors import missing_handlers
from apps.workflows.store import queues
from apps.workflows.store.database import look
from orchestra.prepare import pending_migrations

START = "bin/up"
PYTHONS = ((3, 11), (3, 13))
POSTGRES_WANTED = 18
GIGABYTE = 1024**3
LOW_DISK, FULL_DISK = GIGABYTE, GIGABYTE // 5


class Status(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    text: str
    fix: str | None = None


Verdict = tuple[Status, str] | tuple[Status, str, str]


def examine(names: Iterable[str]) -> list[Finding]:
    """Make the named checks, in order."""
    return [Finding(name, *_verdict(CHECKS[name])) for name in names]


def _verdict(check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except (DatabaseError, InterfaceError) as error:
        return Status.FAIL, f"PostgreSQL at {_address(settings.DATABASE_URL)}: {_first_line(error)}", START


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _address(url: str) -> str:
    """Give the part of an address that is no secret."""
    return url.rpartition("@")[2]


def check_python() -> Verdict:
    """Is this a Python that Orchestra is tested with?"""
    text = ".".join(map(str, sys.version_info[:3]))
    oldest, newest = PYTHONS
    if oldest <= sys.version_info[:2] <= newest:
        return Status.OK, text
    return Status.FAIL, f"{text} is not 3.11 to 3.13", "install Python 3.13, delete .venv, and run bin/up"


def check_disk() -> Verdict:
    """Is there room for the database to grow?"""
    free = shutil.disk_usage(settings.ORCHESTRA_HOME).free
    text = f"{free / GIGABYTE:.1f} GB free in {settings.ORCHESTRA_HOME}"
    fix = "make room, or set ORCHESTRA_HOME to a directory on a larger disk"
    if free < FULL_DISK:
        return Status.FAIL, text, fix
    return (Status.WARN, text, fix) if free < LOW_DISK else (Status.OK, text)


def check_postgres() -> Verdict:
    """Does the database answer, is it new enough, complete and safe?"""
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        milliseconds = (time.monotonic() - began) * 1000
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000,"
            " (SELECT extversion FROM pg_extension WHERE extname = 'vector'),"
            " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
        )
        version, major, vector, superuser = cursor.fetchone()
    missing = pending_migrations()
    text = f"{version}, pgvector {vector or 'missing'}, {milliseconds:.0f} ms, " + (
        f"{missing} migrations missing" if missing else "migrations up to date"
    )
    if missing:
        return Status.FAIL, text, "bin/manage migrate"
    if not vector:
        return Status.FAIL, text, "as a superuser of this database: CREATE EXTENSION vector"
    if superuser:
        return Status.WARN, f"{text}; the role is a superuser", "use a role of its own that owns only this database"
    if major < POSTGRES_WANTED:
        return Status.WARN, text, f"Orchestra is tested with PostgreSQL {POSTGRES_WANTED}"
    return Status.OK, text


def check_redis() -> Verdict:
    """Does Redis answer, and does it refuse to throw hints away?"""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2) as client:
            began = time.monotonic()
            client.ping()
            milliseconds = (time.monotonic() - began) * 1000
            server = client.info("server")
            policy = client.info("memory")["maxmemory_policy"]
    except redis.RedisError as error:
        return Status.FAIL, f"Redis at {_address(settings.REDIS_URL)}: {_first_line(error)}", START
    name, version = server.get("server_name", "redis"), server.get("valkey_version", server["redis_version"])
    text = f"{name.capitalize()} {version}, {milliseconds:.0f} ms, {policy}"
    if policy != "noeviction":
        return Status.WARN, text, "CONFIG SET maxmemory-policy noeviction"
    return Status.OK, text


def check_workers() -> Verdict:
    """Is anybody there to execute nodes?"""
    workers = list(_alive_workers())
    if not workers:
        return Status.FAIL, "none alive: runs stay queued", START
    names = ", ".join(f"{worker.name} (pid {worker.pid} on {worker.host})" for worker in workers)
    with look() as tx:
        wanted = queues.wanted_handlers(tx)
    if missing := ", ".join(sorted(missing_handlers(wanted))):
        text = f"{len(workers)} alive, and node runs wait for one that has {missing}"
        return Status.FAIL, text, "start a worker with the plugin or version that has it"
    return Status.OK, f"{len(workers)} alive: {names}"


def check_recovery() -> Verdict:
    """Does somebody fire due times and take back what dead workers held?"""
    leader = next((worker for worker in _alive_workers() if worker.leads_recovery), None)
    if leader is None:
        return Status.FAIL, "no worker leads: waits, retries and time-outs are not firing", START
    return Status.OK, f"led by {leader.name}"


def _alive_workers() -> Iterable[Worker]:
    lease = timedelta(seconds=settings.ORCHESTRA_LEASE_SECONDS)
    return Worker.objects.filter(stopped_at=None, heartbeat_at__gt=Now() - lease).order_by("started_at")


def check_plugins() -> Verdict:
    """Could every plugin be imported?"""
    failures = discovery.failures
    if not failures:
        return Status.OK, f"{len(settings.ORCHESTRA_PLUGINS)} in ORCHESTRA_PLUGINS, none failed"
    text = "; ".join(f"{failure.plugin} (from {failure.source}): {failure.reason}" for failure in failures)
    return Status.FAIL, text, "mend the import, or take the plugin out"


def check_models() -> Verdict:
    """Is there a real language model, and can the keys of its provider be opened?"""
    lost = sum(count for _, place, count in secrets.masters() if place is None)
    if lost:
        text = f"the secrets of {lost} organizations are sealed with a master key that is not here"
        return Status.FAIL, text, "put that key back into ORCHESTRA_MASTER_KEYS, or enter the secrets again"
    with scopes_disabled():
        providers, defaults = ModelProvider.objects.count(), ModelSetting.objects.filter(is_default=True).count()
    if not providers:
        return Status.OK, "no real one: agents ask the demo model (Settings, Models sets one up)"
    text = f"{providers} provider{'' if providers == 1 else 's'}"
    if not defaults:
        return Status.OK, f"{text}, no default: agents that name no model ask the demo model"
    return Status.OK, f"{text}, {defaults} default model{'' if defaults == 1 else 's'}"


CHECKS: Mapping[str, Callable[[], Verdict]] = {
    "python": check_python,
    "disk": check_disk,
    "postgres": check_postgres,
    "redis": check_redis,
    "workers": check_workers,
    "recovery": check_recovery,
    "plugins": check_plugins,
    "models": check_models,
}

"""Being alive: the heartbeat and the lock that PostgreSQL lets go when the process dies."""

import os
import random
import socket
import threading
from typing import Any

import psycopg
import structlog
from django.conf import settings

from apps.common import failpoints
from apps.workflows.nodes.registry import served
from apps.workflows.services.leases import Leases
from apps.workflows.store import workers
from apps.workflows.store.database import Transaction, connection_parameters

log = structlog.get_logger(__name__)

CANCEL_SECONDS = 0.5  # how late a running node learns that it was cancelled


class Liveness:
    """One thread with one connection: it holds the worker's lock, beats, and asks what is still held."""

    def __init__(self, leases: Leases, name: str, slots: int) -> None:
        self.leases, self.name, self.slots = leases, name, slots
        self.leads = False
        self.lock_key = random.randrange(1, 2**31)  # noqa: S311 - a name, not a secret
        self._beat_seconds = settings.ORCHESTRA_LEASE_SECONDS / 4
        self._stop = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)

    def start(self) -> None:
        """Registers the worker and keeps it alive from then on."""
        connection = self._connect()
        with connection.transaction():
            workers.register(
                Transaction(connection),
                id=self.leases.worker,
                name=self.name,
                host=socket.gethostname(),
                pid=os.getpid(),
                lock_key=self.lock_key,
                slots=self.slots,
                handlers=sorted(served()),
                version="1",
            )
        self.leads = workers.lock(connection, workers.LEADER_KEY)
        self._thread.start()

    def stop(self) -> None:
        """Signs off: whatever the worker still holds may be taken back at once."""
        self._stop.set()
        self._thread.join(2)
        try:
            workers.stop(Transaction(self._connected()), self.leases.worker, "drained")
        except psycopg.Error as error:
            log.warning("Could not sign off.", action="sign_off_failed", error=str(error))

    def _run(self) -> None:
        waited = self._beat_seconds
        pause = min(CANCEL_SECONDS, self._beat_seconds)
        while not self._stop.wait(pause):
            waited += pause
            try:
                self._look_after(beat=waited >= self._beat_seconds)
                waited = 0.0 if waited >= self._beat_seconds else waited
            except psycopg.Error as error:
                self.leads = False
                log.warning("The heartbeat does not reach the database.", action="heartbeat_failed", error=str(error))

    def _look_after(self, *, beat: bool) -> None:
        failpoints.reach("beat_stall")
        tx = Transaction(self._connected())
        if not self.leads:
            self.leads = workers.lock(tx.connection, workers.LEADER_KEY)
        if beat and not self.leads and workers.depose(tx, settings.ORCHESTRA_LEASE_SECONDS):
            log.warning("The leader of the recovery is frozen; another worker follows.", action="leader_deposed")
        if beat and not workers.beat(tx, self.leases.worker, leads=self.leads):
            log.warning(
                "This worker had been given up for dead and goes on.", action="worker_revived", worker=self.name
            )
            workers.revive(tx, self.leases.worker)
        if fences := self.leases.fences():
            self.leases.keep_only(fences, workers.still_held(tx, fences))

    def _connected(self) -> "psycopg.Connection[Any]":
        if self._connection is None or self._connection.closed:
            self.leads = False
            return self._connect()
        return self._connection

    def _connect(self) -> "psycopg.Connection[Any]":
        self._connection = psycopg.connect(
            **connection_parameters(), autocommit=True, application_name=f"orchestra {self.name}"
        )
        workers.lock(self._connection, self.lock_key)
        return self._connection

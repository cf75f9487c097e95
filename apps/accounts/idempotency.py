"""Doing an act once, however often it is asked for: `Idempotency-Key`."""

import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar
from uuid import UUID

import orjson
from django.db import connection, transaction
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import Access, OrganizationView
from apps.accounts.models import IDEMPOTENCY_LIFETIME
from apps.common import json
from apps.common.clock import now
from apps.common.errors import BadRequest, ErrorItem, Invalid
from apps.common.ids import uuid7
from apps.common.json import JSON

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

Answer: TypeAlias = tuple[int, JSON]  # status and body

_VISIBLE_ASCII = re.compile(r"[!-~]{1,255}")
_FIRST_ERROR_STATUS = 400


def run_once(
    request: Request, work: Callable[[], Answer], *, conceal: Collection[str] = (), is_transaction: bool = False
) -> Response:
    """Answer with the work's status and body; under an `Idempotency-Key` it is done once and answered again for a day.

    The work runs in one transaction with the row that remembers its answer:

    1. The row is inserted first. A second request with the key waits there until the first one's transaction ends.
    2. Committed: the second finds the row and gives the first answer again. Rolled back: the second does the work.
    3. An error, raised or answered, rolls everything back and is not remembered.

    Fields named in `conceal` (a secret shown once) are null in a repeated answer. Work that is one transaction already
    (`is_transaction`) gets no other one around it where there is no key.
    """
    key = request.headers.get(HEADER)
    if key is None and is_transaction:
        status, body = work()
        return Response(body, status)
    with transaction.atomic():
        if key is None:
            return _done(*work())
        access: Access = request.access  # type: ignore[attr-defined]
        act = Act(request.method or "", request.path, request.data)
        outcome = once(access.organization.pk, key, act, work, conceal=conceal)
        response = _done(outcome.status, outcome.body)
        if outcome.replayed:
            response[REPLAYED] = "true"
        return response


@dataclass(frozen=True)
class Act:
    """What is asked for under a key; another act under the same key is refused."""

    method: str  # of the request; for commands CLI
    path: str
    body: JSON

    @property
    def body_hash(self) -> str:
        """The body in short."""
        return hashlib.sha256(json.dumps(self.body)).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What an act came to, now or the first time."""

    status: int
    body: JSON
    replayed: bool


def once(
    organization: UUID, key: str, act: Act, work: Callable[[], Answer], *, conceal: Collection[str] = ()
) -> Outcome:
    """Do the work, or give the answer that it had before under this key; see `run_once`.

    Raises Invalid when the key was used for another act.
    """
    with transaction.atomic(savepoint=False):
        claim = _Claim(organization.hex, _checked(key), act)
        if not claim.is_first():
            return claim.replay()
        status, body = work()
        if status < _FIRST_ERROR_STATUS:
            claim.remember(status, _concealed(body, conceal))
        return Outcome(status, body, replayed=False)


V = TypeVar("V", bound=OrganizationView)
P = ParamSpec("P")


def idempotent(
    handler: Callable[Concatenate[V, Request, P], Response],
) -> Callable[Concatenate[V, Request, P], Response]:
    """Make a view's handler keep to the caller's `Idempotency-Key`; it runs inside one transaction."""

    @wraps(handler)
    def once(view: V, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> Response:
        def work() -> Answer:
            response = handler(view, request, *args, **kwargs)
            return response.status_code, response.data

        return run_once(request, work)

    return once


class _Claim:
    """One act's hold on a key."""

    def __init__(self, organization_id: str, key: str, act: Act) -> None:
        self.organization_id = organization_id
        self.key = key
        self.fingerprint = act.method, act.path, act.body_hash

    def is_first(self) -> bool:
        """Insert the row; false when a committed one is there that has not expired."""
        with connection.cursor() as cursor:
            cursor.execute(
                _INSERT,
                [uuid7(), self.organization_id, self.key, *self.fingerprint, now() + IDEMPOTENCY_LIFETIME],
            )
            return cursor.fetchone() is not None

    def replay(self) -> Outcome:
        """Give the first answer again, or raise when the key was used for something else."""
        with connection.cursor() as cursor:
            cursor.execute(_SELECT, [self.organization_id, self.key])
            method, path, body_hash, status, response = cursor.fetchone()
        if (method, path, body_hash) != self.fingerprint:
            raise Invalid(
                f"This {HEADER} was used before, for another request ({method} {path}). Take a new key for a new act.",
                code="idempotency_key_reused",
            )
        return Outcome(status, orjson.loads(response), replayed=True)

    def remember(self, status: int, body: JSON) -> None:
        """Keep the answer; it becomes visible together with the work."""
        with connection.cursor() as cursor:
            cursor.execute(_UPDATE, [status, json.dumps(body).decode(), self.organization_id, self.key])


# A row whose day is over is taken over as if it were not there.
_INSERT = """
INSERT INTO accounts_idempotentrequest AS kept
    (id, organization_id, key, method, path, body_hash, response, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, '', %s)
ON CONFLICT (organization_id, key) DO UPDATE
    SET method = excluded.method, path = excluded.path, body_hash = excluded.body_hash,
        status = NULL, response = '', expires_at = excluded.expires_at
    WHERE kept.expires_at <= statement_timestamp()
RETURNING id
"""

_SELECT = """
SELECT method, path, body_hash, status, response FROM accounts_idempotentrequest
WHERE organization_id = %s AND key = %s
"""

_UPDATE = """
UPDATE accounts_idempotentrequest SET status = %s, response = %s WHERE organization_id = %s AND key = %s
"""


def _done(status: int, body: JSON) -> Response:
    if status >= _FIRST_ERROR_STATUS:
        transaction.set_rollback(True)
    return Response(body, status)


def _checked(key: str) -> str:
    if _VISIBLE_ASCII.fullmatch(key):
        return key
    message = f"{HEADER} must be 1 to 255 visible ASCII characters."
    raise BadRequest(
        message, code="invalid_idempotency_key", errors=[ErrorItem("", "invalid_idempotency_key", message)]
    )


def _concealed(body: JSON, names: Collection[str]) -> JSON:
    return {name: None if name in names else value for name, value in body.items()} if names else body

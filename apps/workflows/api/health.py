"""Whether the product lives, and whether it can work."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from django_scopes import scopes_disabled

from apps.common import redis
from apps.common.errors import Unavailable
from apps.common.threads import run_bounded
from apps.workflows import selectors
from apps.workflows.models import Worker
from apps.workflows.store.database import TRANSIENT

COUNT_SECONDS = 1.0
COUNT_WITHIN_SECONDS = 0.5
MOST_COUNTED = 10_000


@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """Answer that the process is up; nothing else has to be."""
    return JsonResponse(
        {
            "status": "healthy",
            "active_workflows": active.now(),
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "version": product_version(),
        }
    )


@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when database, broker and at least one worker are there, else 503 that names what is not."""
    checks = {"database": _database(), "broker": _broker()}
    checks["workers"] = _workers() if checks["database"] == "ok" else "unknown: the database does not answer"
    is_ready = all(check == "ok" for check in checks.values())
    answer = JsonResponse(
        {"status": "ready" if is_ready else "not_ready", "checks": checks}, status=200 if is_ready else 503
    )
    if not is_ready:
        answer["Retry-After"] = "2"
    return answer


@cache
def product_version() -> str:
    """The version of this installation."""
    try:
        return version("orchestra")
    except PackageNotFoundError:
        return "0.1.0"


class _Active:
    """How many runs go on, counted once a second at most: probes come often."""

    count: int | None = None
    until = 0.0

    def now(self) -> int | None:
        """The count; None when the database does not give it at once, as who asks wants to know of this process."""
        if time.monotonic() >= self.until:
            self.until = time.monotonic() + COUNT_SECONDS
            try:
                self.count = run_bounded(_count, COUNT_WITHIN_SECONDS)
            except (DatabaseError, TimeoutError, Unavailable, *TRANSIENT):
                self.count = None
        return self.count


active = _Active()


def _count(_cancelled: Callable[[], bool]) -> int:
    with scopes_disabled():
        return selectors.count_going_on(MOST_COUNTED)


def _database() -> str:
    try:
        Worker.objects.exists()
    except (DatabaseError, *TRANSIENT):
        return "does not answer"
    return "ok"


def _broker() -> str:
    return "ok" if redis.ask(lambda client: client.ping()) else "does not answer"


def _workers() -> str:
    try:
        return "ok" if selectors.has_living_workers() else "none is alive"
    except (DatabaseError, *TRANSIENT):
        return "unknown: the database does not answer"

"""Whether the product lives, and whether it can work."""

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from django_scopes import scopes_disabled

from apps.common import redis
from apps.workflows import selectors
from apps.workflows.models import Worker
from apps.workflows.store.database import TRANSIENT


@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """Answer that the process is up; nothing else has to be."""
    return JsonResponse(
        {
            "status": "healthy",
            "active_workflows": _active(),
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "version": product_version(),
        }
    )


@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when database, broker and at least one worker are there, else 503 that names what is not."""
    checks = {"database": _database(), "broker": _broker(), "workers": _workers()}
    is_ready = all(check == "ok" for check in checks.values())
    answer = JsonResponse(
        {"status": "ready" if is_ready else "not_ready", "checks": checks}, status=200 if is_ready else 503
    )
    if not is_ready:
        answer["Retry-After"] = "2"
    return answer


def product_version() -> str:
    """The version of this installation."""
    try:
        return version("orchestra")
    except PackageNotFoundError:
        return "0.1.0"


def _active() -> int | None:
    try:
        with scopes_disabled():
            return selectors.count_going_on()
    except (DatabaseError, *TRANSIENT):
        return None


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

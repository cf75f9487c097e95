"""Answers that are given again to the same question, where an organization wants that."""

import hashlib
from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from apps.common import json
from apps.common.json import JSON
from apps.integrations.language_models.shapes import Request
from apps.integrations.models import CachedAnswer


def digest_of(served_by: str, request: Request) -> str:
    """Name a question: who is asked, and all that is said."""
    said = request.model_dump(mode="json", exclude={"attempt", "model"})
    return hashlib.sha256(json.dumps([served_by, said])).hexdigest()


def known_answer(organization_id: UUID, digest: str) -> JSON:
    """Give the record of the answer; None where there is none that is still good."""
    with scope(organization=organization_id):
        found = CachedAnswer.objects.filter(digest=digest, expires_at__gt=Now()).first()
        return found.record if found else None


def keep_answer(organization_id: UUID, digest: str, record: JSON, seconds: int) -> None:
    """Keep the record of an answer for so many seconds."""
    with scope(organization=organization_id):
        CachedAnswer.objects.update_or_create(
            organization_id=organization_id,
            digest=digest,
            defaults={"record": record, "expires_at": Now() + timedelta(seconds=seconds)},
        )


def forget_old_answers() -> int:
    """Delete what is no longer good; give how many there were."""
    with scopes_disabled():
        deleted, _ = CachedAnswer.objects.filter(expires_at__lte=Now()).delete()
        return deleted

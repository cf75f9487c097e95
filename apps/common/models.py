"""What every row has."""

from django.db import models
from django.db.models.functions import Now

from apps.common.ids import uuid7


class BaseModel(models.Model):
    """A row with a time-ordered id; the database stamps when it was made."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True

"""The processes that execute nodes."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from apps.common.ids import uuid7


class Worker(models.Model):
    """A worker process.

    It lives as long as it holds the advisory lock `lock_key` and its heartbeat is younger than a lease.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    lock_key = models.IntegerField()
    slots = models.PositiveIntegerField()
    handlers = ArrayField(models.TextField(), default=list, db_default=[])  # what it can execute
    version = models.CharField(max_length=40)
    leads_recovery = models.BooleanField(default=False)
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())
    stopped_at = models.DateTimeField(null=True)
    stop_reason = models.CharField(max_length=20, blank=True, default="")  # drained | dead | frozen

    class Meta:
        indexes = [models.Index(fields=["lock_key"], condition=models.Q(stopped_at=None), name="worker_alive")]

    def __str__(self) -> str:
        return self.name

"""The Celery application; `orchestra.worker` runs it."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")
# Django's checks import every view; a worker has none, and would start a second later.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("orchestra")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("apps.workflows.tasks:Engine")

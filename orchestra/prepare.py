"""What `up` does inside Django: migrations and the first way in."""

import json
from dataclasses import asdict
from pathlib import Path

from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from orchestra.access import Access
from orchestra.connect import point_django_at
from orchestra.supervisor import write_private

__all__ = ["migrate", "pending_migrations", "point_django_at", "renew_access"]


def pending_migrations() -> int:
    """Count the migrations that the database lacks."""
    executor = MigrationExecutor(connections["default"])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def migrate() -> None:
    """Apply every migration."""
    call_command("migrate", interactive=False, verbosity=0)


def renew_access(home: Path, url: str) -> Access:
    access = Access(url, "k", "o", "u", "p")
    write_private(home / "access.json", json.dumps(asdict(access), indent=2) + "\n")
    return access

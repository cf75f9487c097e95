import random
import time
from typing import Any

from django.core.management.commands import migrate
from django.db import OperationalError, connections

TRIES = 20
LOCK_SECONDS = 3  # whoever works on a table waits behind a migration for so long at most
_SETTINGS = f"set lock_timeout = '{LOCK_SECONDS}s'; set statement_timeout = 0"
_LOCK_NOT_AVAILABLE = "55P03"


class Command(migrate.Command):
    """Django's `migrate`, which blocks nobody: it gives up a lock that it does not get soon, and tries again."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Apply the migrations; one that did not get its lock is rolled back and begun again."""
        for tries_left in reversed(range(TRIES)):
            try:
                with connections[options["database"]].cursor() as cursor:
                    cursor.execute(_SETTINGS)
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if not tries_left or getattr(error.__cause__, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                    raise
                self.stderr.write("A table is in use; the migration lets it go and tries again.")
                time.sleep(random.uniform(0.5, 1.5))  # noqa: S311
            finally:
                connections[options["database"]].close_if_unusable_or_obsolete()

"""What the current transaction may do."""

from django.db import connection


def allow_idle(seconds: float) -> None:
    """Let this transaction wait that long for something outside the database without being ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [f"{int(seconds * 1000)}ms"]
        )

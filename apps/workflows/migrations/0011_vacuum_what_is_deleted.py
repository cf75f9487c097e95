"""A vacuum soon where rows are only added and, much later, deleted, and sooner where every step leaves a dead one.

With the server's own factor a million events may hold two hundred thousand that nobody sees any more. The queue is
read from the front, where the dead ones are: ten thousand of them are noticed, two hundred are not.
"""

from django.db import migrations

_ADDED = ("workflows_runevent", "workflows_contextentry", "workflows_journalentry", "workflows_effect")
_QUEUE = ("workflows_run", "workflows_noderun")


def _factor(table: str, factor: float) -> str:
    return f"alter table {table} set (autovacuum_vacuum_scale_factor = {factor})"


class Migration(migrations.Migration):
    dependencies = [("workflows", "0010_circuits")]

    operations = [
        *(
            migrations.RunSQL(_factor(table, 0.02), f"alter table {table} reset (autovacuum_vacuum_scale_factor)")
            for table in _ADDED
        ),
        *(migrations.RunSQL(_factor(table, 0.01), _factor(table, 0.02)) for table in _QUEUE),
    ]

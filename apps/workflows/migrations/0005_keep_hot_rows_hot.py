"""Room in the pages for the next version of a row, and a vacuum before thousands of dead ones have gathered.

A run is updated at every step and a node run twice: the new version stays in its page, and out of the indexes, where
there is room for it. Lists of node runs are of one run; nothing asked for the newest of an organization.
"""

from django.db import migrations

_HOT = {"workflows_run": 70, "workflows_noderun": 70, "workflows_attempt": 85}
_VACUUM = "autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor"


def _set(table: str, fill: int) -> str:
    factors = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"
    return f"alter table {table} set (fillfactor = {fill}, {factors})"


def _reset(table: str) -> str:
    return f"alter table {table} reset (fillfactor, {_VACUUM})"


class Migration(migrations.Migration):
    dependencies = [("workflows", "0004_index_the_queue_by_organization")]

    operations = [
        migrations.RemoveIndex(model_name="noderun", name="node_newest"),
        *(migrations.RunSQL(_set(table, fill), _reset(table)) for table, fill in _HOT.items()),
    ]

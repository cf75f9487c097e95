"""A node run names what its worker must have (`agent:echo@1`), and a worker says what it has.

Both only add: what an older process writes has the bare types, which every worker can execute as before, and a
worker without handlers is an older one.
"""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workflows", "0006_node_runs_without_foreign_keys")]

    operations = [
        migrations.AlterField(
            model_name="noderun",
            name="handler",
            field=models.CharField(max_length=250),
        ),
        migrations.AddField(
            model_name="worker",
            name="handlers",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(), db_default=[], default=list, size=None
            ),
        ),
    ]

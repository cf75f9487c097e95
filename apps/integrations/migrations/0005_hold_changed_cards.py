from django.db import migrations, models

import apps.common.fields


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0004_a2a_agents"),
    ]

    operations = [
        migrations.AddField(
            model_name="a2aagent",
            name="offered",
            field=apps.common.fields.JSONTextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="a2aagent",
            name="accepted_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
    ]

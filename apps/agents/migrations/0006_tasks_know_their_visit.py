from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0005_role_prompts")]

    operations = [
        migrations.AddField("agenttask", "node_run_id", models.UUIDField(null=True)),
        migrations.AddField("agenttask", "lines", models.PositiveIntegerField(db_default=0, default=0)),
        migrations.AddField(
            "agenttask",
            "idempotency_key",
            models.CharField(blank=True, db_default="", default="", max_length=500),
        ),
    ]

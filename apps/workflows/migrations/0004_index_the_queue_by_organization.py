from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workflows", "0003_effects")]

    operations = [
        migrations.RemoveIndex(model_name="noderun", name="node_claimable"),
        migrations.AddIndex(
            model_name="noderun",
            index=models.Index(
                fields=["organization", "-priority", "available_at", "id"],
                condition=models.Q(("status__in", ["queued", "retrying"])),
                name="node_queued",
            ),
        ),
    ]

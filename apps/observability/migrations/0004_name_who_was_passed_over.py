from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0003_usage_of_model"),
    ]

    operations = [
        migrations.AddField(
            model_name="usage",
            name="passed_over",
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
    ]

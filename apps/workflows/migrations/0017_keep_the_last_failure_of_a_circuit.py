from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0016_offer_workflows"),
    ]

    operations = [
        migrations.AddField(
            model_name="circuit",
            name="last_failure",
            field=models.CharField(blank=True, db_default="", default="", max_length=300),
        ),
    ]

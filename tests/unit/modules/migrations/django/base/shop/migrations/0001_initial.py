from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("unit_price", models.DecimalField(max_digits=10, decimal_places=2)),
            ],
        ),
    ]

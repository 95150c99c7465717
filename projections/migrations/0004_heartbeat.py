"""Note when a projection was last looked after, so that a dead worker is missed even when nothing happens."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Empty until a worker comes: until then nobody has looked after anything."""

    dependencies = [("projections", "0003_client_index")]
    operations = [
        migrations.AddField(
            model_name="projectioncheckpoint", name="heartbeat_at", field=models.DateTimeField(null=True)
        ),
    ]

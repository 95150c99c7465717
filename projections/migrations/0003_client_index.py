"""Lists of one client's accounts read those accounts alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """An index that no movement touches: an account's client never changes."""

    dependencies = [("projections", "0002_byte_order")]
    operations = [
        migrations.AddIndex(
            model_name="accountsummary",
            index=models.Index(fields=["client_id", "account_id"], name="account_summary_client"),
        ),
    ]

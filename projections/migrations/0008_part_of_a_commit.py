"""Let a transfer's row say that it was asked for and no more, as a batch that ends inside a commit leaves it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Streams that were parked for it are tried again by themselves."""

    dependencies = [
        ("projections", "0007_parked_streams_and_jobs"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="transferstatus",
            name="transfer_status_state_check",
        ),
        migrations.AddConstraint(
            model_name="transferstatus",
            constraint=models.CheckConstraint(
                condition=models.Q(state__in=("PENDING", "STUCK", "COMPLETED", "FAILED", "INITIATED")),
                name="transfer_status_state_check",
            ),
        ),
    ]

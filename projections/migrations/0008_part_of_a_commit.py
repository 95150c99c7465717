"""Let a transfer's row say that it was asked for and no more; find the transfers whose money stands in suspense."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A batch of the log may end inside a commit. Streams that were parked for it are tried again by themselves."""

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
        migrations.AddIndex(
            model_name="transferstatus",
            index=models.Index(
                condition=models.Q(refunded_to__startswith="suspense:", released_to__isnull=True),
                fields=["first_position"],
                name="transfer_status_suspense",
            ),
        ),
    ]

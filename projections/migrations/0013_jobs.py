"""Jobs are nobody's: who has the session that rebuilds works on them. They tell what they are at, and are listed."""

from django.db import migrations, models

UNFINISHED = ("QUEUED", "RUNNING")


class Migration(migrations.Migration):
    """No leases."""

    dependencies = [("projections", "0012_rebuilding")]

    operations = [
        migrations.RemoveConstraint(model_name="projectionjob", name="projection_jobs_finished_check"),
        migrations.RemoveField(model_name="projectionjob", name="lease"),
        migrations.RemoveField(model_name="projectionjob", name="leased_until"),
        migrations.AddField(model_name="projectionjob", name="phase", field=models.TextField(null=True)),
        migrations.AddField(model_name="projectionjob", name="updated_at", field=models.DateTimeField(null=True)),
        migrations.AlterField(
            model_name="projectionjob", name="requested_at", field=models.DateTimeField(auto_now_add=True)
        ),
        migrations.AddIndex(
            model_name="projectionjob",
            index=models.Index(fields=["-requested_at"], name="projection_jobs_requested"),
        ),
        migrations.AddConstraint(
            model_name="projectionjob",
            constraint=models.CheckConstraint(
                condition=models.Q(("finished_at__isnull", True), ("state__in", UNFINISHED))
                | models.Q(models.Q(("state__in", UNFINISHED), _negated=True), ("finished_at__isnull", False)),
                name="projection_jobs_finished_check",
            ),
        ),
    ]

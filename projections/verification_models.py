"""What verifications keep: how far streams were found sound, what differs, and where the continuous one stands."""

from django.db import models
from django.db.models import F, Q


class VerifiedStream(models.Model):
    """A stream was found sound, log and read models, up to its event `version`, at `verified_at`.

    `hash` is the link of that event in the stream's chain. `seal` is a hash over positions, times of recording and
    links of all events up to it. Whoever alters them later, and makes the chain anew, is found out by these two.
    """

    stream_id = models.TextField(primary_key=True)
    version = models.BigIntegerField()
    hash = models.BinaryField()
    seal = models.BinaryField()
    verified_at = models.DateTimeField()

    class Meta:
        db_table = "verified_streams"
        verbose_name = "verified stream"
        verbose_name_plural = "verified streams"
        constraints = (models.CheckConstraint(condition=Q(version__gt=0), name="verified_streams_version_check"),)

    def __str__(self) -> str:
        return self.stream_id


class VerificationDifference(models.Model):
    """Something that was not as it should be when it was last looked at; it is gone when that finds it in order.

    The columns are those of `projections.verification.differences.Difference`.
    """

    difference_id = models.UUIDField(primary_key=True)
    check_name = models.TextField(verbose_name="check")
    stream_id = models.TextField(blank=True)
    place = models.TextField()
    key = models.TextField()
    column_name = models.TextField(verbose_name="column")
    expected = models.TextField()
    actual = models.TextField()
    first_found_at = models.DateTimeField()
    last_found_at = models.DateTimeField()

    class Meta:
        db_table = "verification_differences"
        verbose_name = "difference"
        verbose_name_plural = "differences"
        indexes = (
            models.Index(fields=["stream_id"], name="verification_diff_stream"),
            models.Index(fields=["-last_found_at"], name="verification_diff_latest"),
        )

    def __str__(self) -> str:
        return f"{self.check_name}: {self.stream_id or 'the log'}"


class VerificationCycle(models.Model):
    """Where the continuous verification stands: one row. It goes over all streams, then over all positions, and again.

    While a cycle is under way `head` is the head of the log as it began, `after_stream_id` the last stream that it has
    done, `streams_are_done` whether there is none left, `after_position` the last position, and `books` what it has
    added up so far. `highest_head` is the highest head that there ever was, which no later one can be below.
    `last_began_at` and `last_finished_at` are those of the last one that came to its end: every stream
    that there was has been looked at since then.
    """

    cycle_id = models.SmallIntegerField(primary_key=True, default=1)
    began_at = models.DateTimeField(null=True)
    head = models.BigIntegerField(default=0)
    highest_head = models.BigIntegerField(default=0)
    after_stream_id = models.TextField(blank=True, default="")
    streams_are_done = models.BooleanField(default=False)
    after_position = models.BigIntegerField(default=0)
    books = models.JSONField(default=dict)
    events = models.BigIntegerField(default=0)
    last_began_at = models.DateTimeField(null=True)
    last_finished_at = models.DateTimeField(null=True)
    last_events = models.BigIntegerField(default=0)

    class Meta:
        db_table = "verification_cycle"
        verbose_name = "continuous verification"
        verbose_name_plural = "continuous verification"
        constraints = (
            models.CheckConstraint(condition=Q(cycle_id=1), name="verification_cycle_single_check"),
            models.CheckConstraint(
                condition=Q(head__gte=F("after_position"), after_position__gte=0), name="verification_cycle_head_check"
            ),
        )

    def __str__(self) -> str:
        return "continuous verification"

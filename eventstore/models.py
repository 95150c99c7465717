"""Read-only mirrors of the store's tables, for the admin alone: the store itself is raw SQL and owns the tables."""

from django.db import models


class Event(models.Model):
    """An event of the log."""

    position = models.BigIntegerField(primary_key=True)
    stream_id = models.TextField()
    version = models.BigIntegerField()
    event_id = models.UUIDField()
    event_type = models.TextField()
    schema_version = models.IntegerField()
    data = models.JSONField()
    metadata = models.JSONField()
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    hash = models.BinaryField()

    class Meta:
        managed = False
        db_table = "events"

    def __str__(self) -> str:
        return f"{self.event_type} at {self.position}"


class Snapshot(models.Model):
    """The folded state of a stream. Its key is `stream_id` and `schema_version`; the admin knows no such keys."""

    stream_id = models.TextField(primary_key=True)
    schema_version = models.IntegerField()
    version = models.BigIntegerField()
    state = models.JSONField()
    hash = models.BinaryField()
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "snapshots"

    def __str__(self) -> str:
        return f"{self.stream_id} at {self.version}"


class Command(models.Model):
    """The verdict on a keyed command. Its key is `scope` and `key`; the admin knows no such keys."""

    scope = models.TextField()
    key = models.TextField(primary_key=True)
    fingerprint = models.TextField()
    refused = models.BooleanField()
    result = models.JSONField()
    first_position = models.BigIntegerField(null=True)
    last_position = models.BigIntegerField(null=True)
    recorded_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "commands"

    def __str__(self) -> str:
        return f"{self.scope} {self.key}"

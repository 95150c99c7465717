"""Tell Django of the tables that the admin mirrors; the database stays as it is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Models without tables of their own."""

    initial = True

    dependencies = [
        ("eventstore", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Command",
            fields=[
                ("scope", models.TextField()),
                ("key", models.TextField(primary_key=True, serialize=False)),
                ("fingerprint", models.TextField()),
                ("refused", models.BooleanField()),
                ("result", models.JSONField()),
                ("first_position", models.BigIntegerField(null=True)),
                ("last_position", models.BigIntegerField(null=True)),
                ("recorded_at", models.DateTimeField()),
            ],
            options={
                "db_table": "commands",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("stream_id", models.TextField()),
                ("version", models.BigIntegerField()),
                ("event_id", models.UUIDField()),
                ("event_type", models.TextField()),
                ("schema_version", models.IntegerField()),
                ("data", models.JSONField()),
                ("metadata", models.JSONField()),
                ("occurred_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                ("hash", models.BinaryField()),
            ],
            options={
                "db_table": "events",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Snapshot",
            fields=[
                ("stream_id", models.TextField(primary_key=True, serialize=False)),
                ("schema_version", models.IntegerField()),
                ("version", models.BigIntegerField()),
                ("state", models.JSONField()),
                ("hash", models.BinaryField()),
                ("occurred_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
            ],
            options={
                "db_table": "snapshots",
                "managed": False,
            },
        ),
    ]

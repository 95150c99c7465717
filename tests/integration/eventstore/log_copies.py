"""Logs of a test's own: empty tables in a schema of theirs, written by the real function or an altered copy of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from django.db import connection


@contextmanager
def raw_connection(*, schema: str = "public") -> Iterator[psycopg.Connection]:
    """A session beside Django's own, in which a transaction can be held open."""
    settings = connection.settings_dict
    with psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        dbname=settings["NAME"],
        autocommit=True,
    ) as session:
        session.execute(f"SET search_path = {schema}, public")
        yield session


@contextmanager
def log_copy(*, alterations: Sequence[tuple[str, str]] = ()) -> Iterator[str]:
    """Give the name of a schema that holds an empty log, and let Django's session use it meanwhile.

    `alterations` are pairs of (text of append_events, what stands there instead).
    """
    schema = f"log_{uuid4().hex}"
    with connection.cursor() as cursor:
        append_events = _definition(cursor, "append_events", schema, alterations)
        load_streams = _definition(cursor, "load_streams", schema, ())
        cursor.execute(f"CREATE SCHEMA {schema}")
        try:
            cursor.execute(f"SET search_path = {schema}, public")
            for table in ("events", "commands", "snapshots"):
                cursor.execute(f"CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL)")
            cursor.execute(f"CREATE SEQUENCE {schema}.positions")
            cursor.execute(append_events)
            cursor.execute(load_streams)
            yield schema
        finally:
            cursor.execute("RESET search_path")
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")


def _definition(cursor, function: str, schema: str, alterations: Sequence[tuple[str, str]]) -> str:
    cursor.execute("SELECT pg_get_functiondef(%s::regproc)", [f"public.{function}"])
    [definition] = cursor.fetchone()
    own_schema = [
        (f"FUNCTION public.{function}", f"FUNCTION {schema}.{function}"),
        ("TO 'public', 'pg_temp'", f"TO '{schema}', 'public', 'pg_temp'"),
    ]
    for original, altered in (*alterations, *own_schema):
        assert definition.count(original) == 1, original
        definition = definition.replace(original, altered)
    return definition

"""The read side's SQL: one statement per file in `sql/`, loaded by file stem."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models.expressions import RawSQL

from eventstore import statements
from eventstore.prepared import Row, fetch_prepared
from eventstore.waiting import connect, connection_to

SQL_DIRECTORY = Path(__file__).parent / "sql"


def statement(stem: str) -> str:
    """Return the statement of `sql/<stem>.sql`."""
    return statements.statement(stem, directory=SQL_DIRECTORY).decode()


def rows_of(*, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a statement that a connection keeps prepared. Raises Django's database errors."""
    with connection_to(DEFAULT_DB_ALIAS) as connection:
        connect(connection)
        with connection.wrap_database_errors:
            return fetch_prepared(session=connection.connection, statement=sql, parameters=parameters, binary=True)


def column(*, stem: str, parameters: tuple[str, ...]) -> RawSQL:
    """Return the one value that `sql/<stem>.sql` reads, with these parameters, as a column of another query."""
    return RawSQL(statement(stem), parameters)  # noqa: S611  # the SQL is a file of ours

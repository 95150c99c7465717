"""The read side's SQL: one statement per file in `sql/`, loaded by file stem."""

from pathlib import Path

from django.db.models.expressions import RawSQL

from eventstore import statements

SQL_DIRECTORY = Path(__file__).parent / "sql"


def statement(stem: str) -> str:
    """Return the statement of `sql/<stem>.sql`."""
    return statements.statement(stem, directory=SQL_DIRECTORY).decode()


def column(*, stem: str, parameters: tuple[str, ...]) -> RawSQL:
    """Return the one value that `sql/<stem>.sql` reads, with these parameters, as a column of another query."""
    return RawSQL(statement(stem), parameters)  # noqa: S611  # the SQL is a file of ours

"""The read side's SQL: one statement per file in `sql/`, loaded by file stem."""

from functools import cache
from pathlib import Path

SQL_DIRECTORY = Path(__file__).parent / "sql"


@cache
def statement(stem: str) -> str:
    """Return the statement of `sql/<stem>.sql`."""
    return (SQL_DIRECTORY / f"{stem}.sql").read_text()

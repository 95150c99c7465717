"""SQL in files: one statement per file in the folder `sql/` of an app, loaded by file stem."""

from functools import cache
from pathlib import Path

SQL_DIRECTORY = Path(__file__).parent / "sql"


@cache
def statement(stem: str, *, directory: Path = SQL_DIRECTORY) -> bytes:
    """Return the statement of `<stem>.sql` in `directory`, the event store's unless another is named."""
    return (directory / f"{stem}.sql").read_bytes()

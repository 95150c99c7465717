"""Message DB: an event log in PostgreSQL whose writes are calls of one function, fetched from npm and left as it is."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.database_server import DatabaseServer

VERSION = "1.3.1"
DATABASE = "peer_message_db"
WRITE = """
SELECT message_store.write_message(
    gen_random_uuid()::varchar, 'account-' || gen_random_uuid()::varchar, 'MoneyDeposited',
    '{"accountId": "bench", "amount": 1000, "contra": "external", "currency": "USD", "transactionId": "txn-1"}'::jsonb,
    '{"actor": "bench", "correlationId": "c-1"}'::jsonb, -1
);
"""
"""One event into a stream of its own, whose version is expected: what the bank's append is given."""

# In the order of its own install.sh. pgcrypto is left out: all it is there for has been in PostgreSQL itself since 13.
FOLDERS = (
    ("schema", ("message-store",)),
    ("tables", ("messages",)),
    ("types", ("message",)),
    (
        "functions",
        (
            *("message-store-version", "hash-64", "acquire-lock", "category", "is-category", "id", "cardinal-id"),
            *("stream-version", "write-message", "get-stream-messages", "get-category-messages"),
            "get-last-stream-message",
        ),
    ),
    ("indexes", ("messages-id", "messages-stream", "messages-category")),
)


class NoNpm(Exception):
    """npm is not there, or could not fetch the package."""

    def __str__(self) -> str:
        return f"the rows of Message DB need npm, to fetch @eventide/message-db: {self.args[0]}"


@contextmanager
def message_db(*, server: DatabaseServer) -> Iterator[DatabaseServer]:
    """Install Message DB in a database of its own while the block runs. Raises NoNpm."""
    with TemporaryDirectory(prefix="message-db-") as directory:
        files = _fetched(Path(directory)) / "package" / "database"
        with server.database(DATABASE) as own:
            for folder, names in FOLDERS:
                for name in names:
                    own.psql(files / folder / f"{name}.sql", search_path="message_store,public")
            yield own


def writes_per_second(*, own: DatabaseServer, clients: int, seconds: float) -> float:
    """Return how many events a second so many clients of pgbench write."""
    return own.pgbench(script=WRITE, clients=clients, seconds=seconds, search_path="message_store,public")


def _fetched(directory: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NoNpm("npm is not installed")
    command = [npm, "pack", "--silent", f"@eventide/message-db@{VERSION}"]
    fetched = subprocess.run(command, cwd=directory, capture_output=True, text=True)  # noqa: S603 - our own
    if fetched.returncode:
        raise NoNpm(fetched.stderr.strip().splitlines()[-1:] or "it failed")
    # npm has compared it with the hash that the registry gives.
    shutil.unpack_archive(directory / fetched.stdout.split()[-1], directory)
    return directory

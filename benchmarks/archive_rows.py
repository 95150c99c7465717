"""How fast a bank is moved, and in how much memory: export_events and import_events as processes of their own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from benchmarks.command_runs import CommandRun, run_command
from benchmarks.database_server import DatabaseServer
from benchmarks.rows import Row

SECTION = "Moving a bank"
SIZES = (10_000, 100_000)
EVENTS_PER_ACCOUNT = 50


def rows() -> Iterator[Row]:
    """Move logs of each of SIZES, with a verdict for each event, and the same events as rows of the NestJS project."""
    server = DatabaseServer.of_the_bank()
    for size in SIZES:
        with TemporaryDirectory() as directory, server.database(f"archive_source_{size}") as source:
            file, nestjs_file = Path(directory) / "bank.jsonl", Path(directory) / "nestjs.jsonl"
            run_command(source, "migrate", "--verbosity=0")
            _write_nestjs_file(nestjs_file, size)
            yield _row(
                "import of rows of the NestJS project", size, run_command(source, "import_events", str(nestjs_file))
            )
            _add_verdicts(source, size)
            yield _row("export, a verdict for each event", size, run_command(source, "export_events", str(file)))
            with server.database(f"archive_target_{size}") as target:
                run_command(target, "migrate", "--verbosity=0")
                yield _row("import, a verdict for each event", size, run_command(target, "import_events", str(file)))
                yield _row("import of what is there already", size, run_command(target, "import_events", str(file)))


def _row(what: str, size: int, run: CommandRun) -> Row:
    note = f"{run.seconds:.1f} s, of which {run.processor_seconds:.1f} s in Python; at most {run.megabytes:.0f} MB"
    return Row(section=SECTION, what=what, load=f"{size:,} events", per_second=size / run.seconds, note=note)


def _write_nestjs_file(path: Path, size: int) -> None:
    """Write deposits, each account's first event before all of the second ones."""
    import orjson

    accounts = size // EVENTS_PER_ACCOUNT
    with path.open("wb") as file:
        for number in range(size):
            account, version = number % accounts, number // accounts + 1
            opening = {"ownerId": "bench", "currency": "USD"}
            deposit = {"amount": 1000, "currency": "USD", "transactionId": "txn-1"}
            row = {
                "id": number + 1,
                "event_id": uuid4(),
                "stream_id": f"account-{account}",
                "version": version,
                "event_type": "AccountCreated" if version == 1 else "MoneyDeposited",
                "payload": opening if version == 1 else deposit,
                "metadata": {"actor": "bench", "correlationId": str(UUID(int=number))},
                "occurred_at": datetime.now(UTC),
            }
            file.write(orjson.dumps(row) + b"\n")


def _add_verdicts(bank: DatabaseServer, size: int) -> None:
    import psycopg

    with psycopg.connect(host=bank.host, port=bank.port, user=bank.user, dbname=bank.name) as session:
        session.execute(
            "INSERT INTO commands "
            "SELECT 'client:1', gen_random_uuid()::text, repeat('0', 64), false, "
            """'{"status": "accepted", "accountId": "acc-1", "version": 7, "balance": 7000, "currency": "USD"}', """
            "n, n, now() FROM generate_series(1, %s) AS n",
            [size],
        )

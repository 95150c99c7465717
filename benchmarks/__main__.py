"""`make bench`: measures the fixed set on a bank of its own, prints the table, and keeps it in benchmarks/results/."""

import argparse
import os
from collections.abc import Iterator

from benchmarks.rows import Row, keep, now, report, rows_from
from benchmarks.throw_away_bank import throw_away_bank

SECTIONS = ("log", "library", "view", "http", "overload", "size", "archive", "verify")
ELSEWHERE = ("transfers", "projections", "rebuild")
"""Modules of benchmarks that have a process and servers of their own."""


def main() -> None:
    """Measure what the command line asks for; every figure of a document comes from one run on one machine."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", default=[*SECTIONS, *ELSEWHERE], metavar="SECTION")
    parser.epilog = f"sections: {', '.join((*SECTIONS, *ELSEWHERE))}"
    parser.add_argument("--seconds", type=float, default=8.0, help="how long one load lasts")
    parser.add_argument("--rounds", type=int, default=3, help="how often each load takes its turn")
    parser.add_argument("--server", default="granian", choices=["granian", "granian-wsgi", "gunicorn"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    from benchmarks.served_bank import ENVIRONMENT

    os.environ |= ENVIRONMENT
    began = now()
    rows: list[Row] = []
    versions: list[str] = []
    is_whole = options.seconds >= 8 and options.rounds >= 3 and tuple(options.sections) == (*SECTIONS, *ELSEWHERE)
    try:
        with throw_away_bank():
            versions = _versions()
            rows += _shown(_measured(options))
        for section in ELSEWHERE:
            if section in options.sections:
                rows += _shown(rows_from(module=f"benchmarks.{section}"))
    except BaseException:
        # What was measured until then took long enough.
        is_whole = False
        raise
    finally:
        document = report(rows=rows, versions=versions, began=began, quick=not is_whole)
        print(keep(document=document, began=began, as_latest=is_whole))


def _shown(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield rows, and print them as they come."""
    for row in rows:
        print(" | ".join(row.cells()), flush=True)
        yield row


def _measured(options: argparse.Namespace) -> Iterator[Row]:
    from benchmarks import (
        archive_rows,
        http_rows,
        lag_rows,
        library_rows,
        log_rows,
        overload_rows,
        size_rows,
        verify_rows,
        view_cost,
    )
    from benchmarks.served_bank import Server, issued_token, open_accounts
    from projections.runner import catch_up

    if "log" in options.sections:
        yield from log_rows.rows(seconds=options.seconds / 2, rounds=options.rounds)
    if {"library", "view", "http", "overload"} & set(options.sections):
        open_accounts()
    if "library" in options.sections:
        yield from library_rows.rows(seconds=options.seconds, rounds=options.rounds)
    if "view" in options.sections:
        catch_up()
        yield from view_cost.rows(token=issued_token(), rounds=options.rounds)
    server = Server(kind=options.server, processes=options.processes, threads=options.threads)
    if {"http", "overload"} & set(options.sections):
        with http_rows.scene(server=server, seconds=options.seconds, rounds=options.rounds) as scene:
            if "http" in options.sections:
                yield from http_rows.rows(scene=scene)
                yield from lag_rows.rows(scene=scene)
            if "overload" in options.sections:
                yield from overload_rows.rows(scene=scene)
        yield http_rows.sound_books()
    if "size" in options.sections:
        yield from size_rows.rows()
    if "archive" in options.sections:
        yield from archive_rows.rows()
    if "verify" in options.sections:
        yield from verify_rows.rows()


def _versions() -> list[str]:
    from importlib.metadata import version

    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        )
        postgres, fsync, synchronous_commit = cursor.fetchone()
    packages = [
        f"{name} {version(name)}" for name in ("django", "djangorestframework", "psycopg", "granian", "eventsourcing")
    ]
    return [f"PostgreSQL {postgres} with fsync {fsync} and synchronous_commit {synchronous_commit}", *packages]


if __name__ == "__main__":
    main()

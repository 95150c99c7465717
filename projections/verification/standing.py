"""What a verification leaves for those who look later: how far streams were found sound, and what differs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from projections.statements import statement
from projections.verification.differences import Difference
from projections.verification.slices import Slice
from projections.verification.sorted_rows import StreamRange

MAX_KEPT_DIFFERENCES = 10_000


def keep_slice(*, made: Slice, streams: StreamRange) -> list[Difference]:
    """Keep what a slice of `streams` came to, in the transaction of its view; return the differences that are new.

    Raises OperationalError if another verification has kept something of the same streams meanwhile.
    """
    stamped = sorted(made.sound.items())
    if stamped:
        anchors = [anchor for _, anchor in stamped]
        _run(
            "stamp_streams",
            stream_ids=[stream_id for stream_id, _ in stamped],
            versions=[anchor.version for anchor in anchors],
            hashes=[anchor.hash for anchor in anchors],
            seals=[anchor.seal for anchor in anchors],
        )
    new = keep_differences(differences=[found for one in made.findings for found in one.differences])
    _run("drop_differences", least=streams.least, most=streams.most if made.is_last else made.last_stream_id)
    return new


def keep_differences(*, differences: Sequence[Difference]) -> list[Difference]:
    """Keep differences, as of the moment of the transaction; return those that are new."""
    by_id = {found.identity: found for found in differences}
    if not by_id:
        return []
    found = list(by_id.values())
    rows = _run(
        "keep_differences",
        difference_ids=list(by_id),
        check_names=[one.check for one in found],
        stream_ids=[one.stream_id for one in found],
        places=[one.place for one in found],
        keys=[one.key for one in found],
        column_names=[one.column for one in found],
        expecteds=[one.expected for one in found],
        actuals=[one.actual for one in found],
        room=MAX_KEPT_DIFFERENCES,
    )
    return [by_id[difference_id] for difference_id, is_new in rows if is_new]


def drop_differences_of_the_log(*, began_at: datetime) -> None:
    """Drop what was found of the whole log before a verification of all of it began, and not since."""
    _run("drop_differences_of_the_log", began_at=began_at)


def _run(stem: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement(stem), parameters)
        return list(cursor.fetchall()) if cursor.description else []

"""A rebuild among readers, writers and the projection itself: everybody gets on, and nobody sees it half done."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Event

import pytest
from django.db import connection, transaction

from eventstore.records import StreamAppend
from eventstore.store import event_store
from projections.engine import advance
from projections.models import ProjectionCheckpoint, ProjectionRebuild
from projections.rebuilding import swapping
from projections.rebuilding.exceptions import SwapBlocked
from projections.rebuilding.rebuild import Phase, RebuildProgress, rebuild_projection
from tests.integration.eventstore.log_copies import raw_connection
from tests.integration.projections.rebuilding.catalogue import identity_of
from tests.integration.projections.rebuilding.own_totals import OwnTotals
from tests.integration.projections.rebuilding.own_totals import totals as totals
from tests.integration.projections.rebuilding.own_totals import totals_table as totals_table
from tests.polling import wait_until

STREAMS = 30
REBUILDS = 2


@contextmanager
def going_on(*works, until: Event) -> Iterator[None]:
    """Let each of `works` go on in a thread of its own, again and again, and raise what they raise."""

    def repeat(work) -> int:
        times = 0
        try:
            while not until.is_set():
                work()
                times += 1
            return times
        finally:
            until.set()
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        busy = [pool.submit(repeat, work) for work in works]
        try:
            yield
        finally:
            until.set()
            assert all(one.result() > 0 for one in busy)


class Reader:
    """Looks at the whole table by one query, and at the checkpoint with it: neither may ever go back."""

    def __init__(self, totals: OwnTotals) -> None:
        self._totals = totals
        self.seen = (STREAMS, STREAMS, 0)
        self.tables: set[int] = set()

    def __call__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), coalesce(sum(total), 0)::bigint, (SELECT position FROM projection_checkpoints"
                " WHERE projection = %s), min(tableoid)::bigint FROM thing_totals",
                [self._totals.name],
            )
            *seen, table = cursor.fetchone()
        assert all(now >= before for now, before in zip(seen, self.seen, strict=True)), (self.seen, seen)
        self.seen = tuple(seen)
        self.tables.add(table)


def test_readers_see_all_of_it_at_all_times(totals, settings):
    settings.REBUILD_BATCH_EVENTS, settings.PROJECTION_BATCH_EVENTS = 10, 20
    streams = [totals.numbers(1) for _ in range(STREAMS)]
    totals.catch_up()
    reader, over, turns = Reader(totals), Event(), count()

    def write() -> None:
        number = next(turns) % STREAMS
        streams[number] = totals.numbers(1, after=streams[number])

    with going_on(reader, write, lambda: advance(projector=totals), until=over):
        for _ in range(REBUILDS):
            assert not over.is_set()
            rebuild_projection(projector=totals)
    totals.catch_up()
    reader()
    assert len(reader.tables) >= 2
    versions = [(len(stream.events) + stream.expected_version,) * 2 for stream in streams]
    assert totals.totals(*streams) == versions
    assert totals.parked() == {}


def test_behind_a_long_read_the_swap_gives_up_and_readers_get_on(totals, settings):
    settings.REBUILD_SWAP_SECONDS = 1.0
    stream = totals.numbers(1, 2)
    totals.catch_up()
    before, over = identity_of("thing_totals"), Event()
    reader = Reader(totals)
    reader.seen = (1, 3, 0)
    with raw_connection() as long_reader:
        long_reader.execute("BEGIN; SELECT count(*) FROM thing_totals")
        with going_on(reader, lambda: advance(projector=totals), until=over):
            with pytest.raises(SwapBlocked, match=f"process {long_reader.info.backend_pid} "):
                rebuild_projection(projector=totals)
            latest = totals.numbers(10, after=stream)
        long_reader.execute("COMMIT")
    assert identity_of("thing_totals") == before
    assert ProjectionRebuild.objects.get(projection=totals.name).phase == "CATCHING_UP"

    told: list[RebuildProgress] = []
    rebuild_projection(projector=totals, listener=told.append)
    assert Phase.COPYING not in {one.phase for one in told}
    assert identity_of("thing_totals") != before
    assert totals.totals(latest) == [(3, 13)]


def test_readers_wait_behind_a_swap_for_less_than_fifty_milliseconds():
    assert 0 < swapping.WAIT_FOR_READERS_MS < 50


def test_who_verifies_is_named_to_a_swap_in_whose_way_it_is(totals, settings, monkeypatch):
    settings.REBUILD_SWAP_SECONDS = 0.0
    monkeypatch.setattr(swapping, "WAIT_FOR_OTHERS_MS", 20)
    totals.numbers(1, 2)
    with raw_connection() as verifying:
        verifying.execute("BEGIN; LOCK TABLE verified_streams IN ROW EXCLUSIVE MODE")
        with pytest.raises(SwapBlocked, match=f"in the way is process {verifying.info.backend_pid} "):
            rebuild_projection(projector=totals)
        verifying.execute("COMMIT")
    rebuild_projection(projector=totals)


def test_a_long_read_that_ends_lets_the_swap_through(totals):
    totals.numbers(1, 2)
    with raw_connection() as long_reader, ThreadPoolExecutor(1) as pool:
        long_reader.execute("BEGIN; SELECT count(*) FROM thing_totals")

        def release() -> None:
            with raw_connection() as watcher:
                waiting = "SELECT 1 FROM pg_locks WHERE relation = 'thing_totals'::regclass AND NOT granted"
                wait_until(lambda: watcher.execute(waiting).fetchall())
                # It has given up for now.
                wait_until(lambda: not watcher.execute(waiting).fetchall())
            long_reader.execute("COMMIT")

        releasing = pool.submit(release)
        assert rebuild_projection(projector=totals).tries > 1
        releasing.result()


def test_the_swap_waits_for_the_projection_and_never_takes_it_back(totals, settings):
    settings.PROJECTION_BATCH_EVENTS = 1
    stream = totals.numbers(1)
    held, release = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                ProjectionCheckpoint.objects.select_for_update().get(projection=totals.name)
                held.set()
                release.wait(30)
        finally:
            connection.close()

    def go_on(told: RebuildProgress) -> None:
        if told.phase == Phase.SWAPPING and not held.is_set():
            pool.submit(hold)
            assert held.wait(30)
            latest.append(totals.numbers(2, after=stream))
            release.set()

    latest: list[StreamAppend] = []
    with ThreadPoolExecutor(1) as pool:
        rebuild_projection(projector=totals, listener=go_on)
    assert totals.totals(latest[0]) == [(2, 3)]
    assert totals.position() == event_store().head_position()


def test_a_vacuum_gives_way(totals):
    """It conflicts with the swap for as long as it lasts, and the wait for readers would never drive it away."""
    totals.numbers(1)
    with raw_connection() as other:
        other.execute("BEGIN; LOCK TABLE thing_totals IN SHARE UPDATE EXCLUSIVE MODE")

        def release(told: RebuildProgress) -> None:
            if told.phase == Phase.SWAPPING:
                other.execute("COMMIT")

        assert rebuild_projection(projector=totals, listener=release).tries == 1

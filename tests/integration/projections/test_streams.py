"""One stream by itself: retried from where it stands, rebuilt from its first event, and nobody else held up by it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from math import inf
from threading import Event, Thread

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from eventstore.records import StreamAppend
from projections import streams
from projections.engine import advance, project_stream
from projections.models import ProjectionFailure
from projections.statements import statement
from projections.streams import begin_rebuild, rebuild_stream, rebuild_suspects, retry_due, retry_stream
from tests.integration.projections.test_engine import failures, project
from tests.integration.projections.totals import ThingTotal, TotalProjector, checkpoint_held, numbers
from tests.integration.projections.totals import projector as projector
from tests.integration.projections.totals import totals_table as totals_table
from tests.polling import DEADLINE_SECONDS, wait_until


@pytest.fixture(autouse=True)
def small_batches(settings):
    settings.PROJECTION_BATCH_EVENTS = 3
    settings.PROJECTION_RETRY_SECONDS = 3_600


def parked_stream(projector: TotalProjector, *values: int, at: int) -> StreamAppend:
    """Append numbers, and park their stream at one of them whose cause is mended then."""
    projector.indigestible = {at}
    stream = numbers(*values)
    project(projector)
    assert failures(projector)[stream.stream_id].error == f"KeyError: {at}"
    projector.indigestible = set()
    return stream


def make_due(*stream_ids: str) -> None:
    past = timezone.now() - timedelta(seconds=1)
    ProjectionFailure.objects.filter(stream_id__in=stream_ids).update(next_attempt_at=past)


def damage(stream: StreamAppend, *, total: int = 77) -> None:
    ThingTotal.objects.filter(thing_id=stream.stream_id.removeprefix("thing-")).update(total=total)


@contextmanager
def in_hand(projector: TotalProjector, stream_id: str) -> Iterator[None]:
    """Let another process work on the stream."""
    held, release = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement("take_stream"), {"projection": projector.name, "stream_id": stream_id})
                held.set()
                release.wait(DEADLINE_SECONDS)
        finally:
            connection.close()

    holder = Thread(target=hold)
    holder.start()
    try:
        assert held.wait(DEADLINE_SECONDS)
        yield
    finally:
        release.set()
        holder.join()


def test_a_stream_that_is_due_is_retried_from_where_it_stands(projector):
    stream = parked_stream(projector, 1, 2, 3, 4, 5, 6, 7, 8, at=4)
    retry_due(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(3, 6)], "it was not due"

    # Rows are gone on from, not made again.
    damage(stream, total=1_000)
    make_due(stream.stream_id)
    retry_due(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(8, 1_030)]
    assert failures(projector) == {}
    numbers(9, after=stream)
    project(projector)
    assert projector.totals(stream) == [(9, 1_039)]


def test_a_retry_that_fails_again_is_put_off_for_twice_as_long(projector, settings):
    settings.PROJECTION_RETRY_SECONDS = 10
    stream = parked_stream(projector, 1, 2, at=2)
    projector.indigestible = {2}
    for attempts in (2, 3, 4):
        make_due(stream.stream_id)
        retry_due(projectors=[projector], until=inf)
        failure = failures(projector)[stream.stream_id]
        assert (failure.attempts, failure.version) == (attempts, 2)
        delay_seconds = (failure.next_attempt_at - failure.last_failed_at).total_seconds()
        assert 10 * 2 ** (attempts - 1) <= delay_seconds <= 2 * 10 * 2 ** (attempts - 1)
    assert projector.totals(stream) == [(1, 1)]


def test_a_stream_gets_further_and_is_parked_at_its_next_poison_event(projector):
    stream = parked_stream(projector, 1, 2, 3, 4, 5, 6, at=2)
    projector.indigestible = {5}
    standing = retry_stream(projector=projector, stream_id=stream.stream_id)
    assert standing and (standing.version, standing.error) == (4, "KeyError: 5")
    failure = failures(projector)[stream.stream_id]
    assert (failure.version, failure.attempts) == (5, 2)


def test_a_stream_whose_rows_cannot_be_read_keeps_no_other_waiting(projector, monkeypatch, caplog):
    unreadable = parked_stream(projector, 1, 2, at=2)
    other = parked_stream(projector, 10, 20, at=20)
    make_due(unreadable.stream_id, other.stream_id)
    load = projector.load

    def choosy(*, stream_ids):
        if unreadable.stream_id in stream_ids:
            raise ValueError("what is this?")
        return load(stream_ids=stream_ids)

    monkeypatch.setattr(projector, "load", choosy)
    retry_due(projectors=[projector], until=inf)
    assert failures(projector).keys() == {unreadable.stream_id}
    failure = failures(projector)[unreadable.stream_id]
    assert (failure.error, failure.attempts) == ("ValueError: what is this?", 2)
    assert failure.next_attempt_at > timezone.now()
    assert "could not be worked on" in caplog.text


def test_a_retry_cut_off_by_the_clock_goes_on_at_the_next(projector):
    stream = parked_stream(projector, *range(1, 12), at=2)
    make_due(stream.stream_id)
    standing = retry_stream(projector=projector, stream_id=stream.stream_id, until=0.0)
    assert standing and (standing.version, standing.error) == (4, "KeyError: 2")
    assert failures(projector)[stream.stream_id].attempts == 1
    retry_due(projectors=[projector], until=0.0)
    assert projector.totals(stream) == [(4, 10)], "there was no time left"
    retry_due(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(11, 66)]
    assert failures(projector) == {}


def test_what_is_not_parked_is_not_retried(projector):
    stream = numbers(1)
    assert retry_stream(projector=projector, stream_id=stream.stream_id) is None


def test_a_retry_leaves_alone_what_others_have_in_hand(projector):
    stream = parked_stream(projector, 1, 2, at=2)
    make_due(stream.stream_id)
    with in_hand(projector, stream.stream_id):
        retry_due(projectors=[projector], until=inf)
    with checkpoint_held(projector.name):
        retry_due(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(1, 1)]
    retry_due(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(2, 3)]


def test_a_long_stream_is_parked_until_it_is_rebuilt_and_has_its_old_rows_meanwhile(projector):
    stream, other = numbers(1, 2, 3, 4, 5, 6, 7), numbers(10)
    project(projector)
    damage(stream)
    standing = begin_rebuild(projector=projector, stream_id=stream.stream_id)
    assert (standing.is_being_rebuilt, standing.version) == (True, 7)

    numbers(8, after=stream)
    numbers(20, after=other)
    project(projector)
    assert projector.totals(stream, other) == [(7, 77), (2, 30)]
    make_due(stream.stream_id)
    retry_due(projectors=[projector], until=inf)
    standing_now = retry_stream(projector=projector, stream_id=stream.stream_id)
    assert standing_now and standing_now.is_being_rebuilt, "rows that are suspect are not gone on from"
    assert projector.totals(stream) == [(7, 77)]

    rebuild_suspects(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(8, 36)]
    assert failures(projector) == {}


def test_a_long_rebuild_ends_at_its_poison_event(projector):
    stream = numbers(1, 2, 3, 4, 5, 6, 7)
    project(projector)
    projector.indigestible = {6}
    standing = rebuild_stream(projector=projector, stream_id=stream.stream_id)
    assert (standing.version, standing.error, standing.is_being_rebuilt) == (5, "KeyError: 6", False)
    assert projector.totals(stream) == [(5, 15)]

    projector.indigestible = set()
    standing = rebuild_stream(projector=projector, stream_id=stream.stream_id)
    assert (standing.version, standing.error) == (7, None)
    assert projector.totals(stream) == [(7, 28)]


def test_a_long_rebuild_that_breaks_off_leaves_the_old_rows_and_is_done_again(projector, monkeypatch):
    stream = numbers(1, 2, 3, 4, 5, 6, 7)
    project(projector)
    damage(stream)
    write, written = project_stream, 0

    def break_off(**said):
        nonlocal written
        written += 1
        if written == 2:
            raise OperationalError("the server went away")
        return write(**said)

    with monkeypatch.context() as patch:
        patch.setattr(streams, "project_stream", break_off)
        with pytest.raises(OperationalError):
            rebuild_stream(projector=projector, stream_id=stream.stream_id)
    assert projector.totals(stream) == [(7, 77)]
    assert failures(projector)[stream.stream_id].rows_are_suspect

    rebuild_suspects(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(7, 28)]
    assert failures(projector) == {}


def test_a_rebuild_that_fails_for_no_event_is_put_off_and_keeps_no_other_waiting(projector, monkeypatch):
    broken, other = numbers(1, 2, 3, 4), numbers(10, 20, 30, 40)
    project(projector)
    for stream in (broken, other):
        damage(stream)
        begin_rebuild(projector=projector, stream_id=stream.stream_id)
    initial = projector.initial

    def choosy(*, stream_id):
        if stream_id == broken.stream_id:
            raise ValueError("a defect")
        return initial(stream_id=stream_id)

    monkeypatch.setattr(projector, "initial", choosy)
    rebuild_suspects(projectors=[projector], until=inf)
    assert projector.totals(broken, other) == [(4, 77), (4, 100)]
    failure = failures(projector)[broken.stream_id]
    assert (failure.rows_are_suspect, failure.error) == (True, "ValueError: a defect")


def test_a_rebuild_that_is_under_way_is_not_begun_again(projector):
    stream = numbers(1, 2, 3, 4)
    project(projector)
    damage(stream)
    begin_rebuild(projector=projector, stream_id=stream.stream_id)
    with in_hand(projector, stream.stream_id):
        assert begin_rebuild(projector=projector, stream_id=stream.stream_id).is_being_rebuilt
        rebuild_suspects(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(4, 77)]
    rebuild_suspects(projectors=[projector], until=inf)
    assert projector.totals(stream) == [(4, 10)]


def in_thread(work) -> None:
    try:
        work()
    finally:
        connection.close()


def test_a_runner_retries_and_rebuilds_at_once_make_the_same_rows(projector):
    """Long and short streams, some poisoned, all of them worked on by everybody at the same time."""
    projector.indigestible = {13}
    made = [numbers(*range(1, 3 + number * 3)) for number in range(6)] + [numbers(1, 13, 4, 5), numbers(13)]
    stream_ids = [stream.stream_id for stream in made]
    project(projector)
    stop = Event()

    def run() -> None:
        while not stop.is_set():
            advance(projector=projector)
            make_due(*stream_ids)
            retry_due(projectors=[projector], until=inf)

    def rebuild() -> None:
        for _ in range(3):
            for stream_id in stream_ids:
                rebuild_stream(projector=projector, stream_id=stream_id)

    def rebuild_in_the_background() -> None:
        while not stop.is_set():
            rebuild_suspects(projectors=[projector], until=inf)

    with ThreadPoolExecutor(5) as pool:
        loops = [pool.submit(in_thread, work) for work in (run, run, rebuild_in_the_background)]
        rebuilds = [pool.submit(in_thread, rebuild) for _ in range(2)]
        made = [numbers(100, after=stream) and stream for stream in made]
        projector.indigestible = set()
        try:
            for one in rebuilds:
                one.result()
        finally:
            stop.set()
        for loop in loops:
            loop.result()
    project(projector)
    wait_until(lambda: all_are_mended(projector, *stream_ids))
    expected = [(len(stream.events) + 1, 100 + sum(e.data["number"] for e in stream.events)) for stream in made]
    assert projector.totals(*made) == expected


def all_are_mended(projector: TotalProjector, *stream_ids: str) -> bool:
    make_due(*stream_ids)
    rebuild_suspects(projectors=[projector], until=inf)
    retry_due(projectors=[projector], until=inf)
    return not failures(projector)

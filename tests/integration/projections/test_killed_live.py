"""SIGKILL at any moment of live projection, retry and repair: the read models are always what the events add up to."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import StringIO
from itertools import count
from threading import Event, Thread
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from eventstore.records import StreamAppend
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.runner import catch_up
from tests.factories import NewEventFactory, StreamAppendFactory
from tests.integration.projections.account_log import (
    ACCOUNT_PROJECTORS,
    account_append,
    append,
    assert_read_models_match,
    assert_rows_match,
    busy_account,
    deposited,
    events_of,
    rows_of,
)
from tests.integration.projections.test_run_projections import running
from tests.polling import DEADLINE_SECONDS, wait_until

ACCOUNTS = 24
LONG_ACCOUNT_EVENTS = 120


class Writer:
    """Appends without a pause, to accounts that are all written again and again, some of which are poisoned one day."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.long_account = busy_account(LONG_ACCOUNT_EVENTS)
        self._heads = [self.long_account, *(busy_account(self._dice.randint(1, 12)) for _ in range(ACCOUNTS))]
        append(*self._heads)
        self.poisoned: dict[str, int] = {}
        self._stop = Event()

    @property
    def stream_ids(self) -> list[str]:
        return [head.stream_id for head in self._heads]

    def write(self) -> None:
        """Write until told to stop."""
        try:
            for number in count():
                if self._stop.is_set():
                    return
                chosen = self._dice.randrange(len(self._heads))
                self._heads[chosen] = self._next(self._heads[chosen], poison=number % 150 == 149 and chosen > 0)
        finally:
            connection.close()

    def _next(self, head: StreamAppend, *, poison: bool) -> StreamAppend:
        account_id = head.stream_id.removeprefix("account-")
        if poison and head.stream_id not in self.poisoned:
            event = NewEventFactory.build(event_type="MoneyVanished", data={"accountId": account_id})
            made = StreamAppendFactory.build(after=head, events=(event,))
            self.poisoned[head.stream_id] = made.expected_version + 1
        else:
            movements = [deposited(account_id, self._dice.randint(1, 9)) for _ in range(self._dice.randint(1, 4))]
            made = account_append(*movements, after=head)
        append(made)
        return made

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in a thread, while the block runs."""
        self._stop.clear()
        thread = Thread(target=self.write)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(DEADLINE_SECONDS)


def assert_rows_are_what_the_checkpoints_say(stream_ids: Sequence[str]) -> None:
    """Compare rows, checkpoints and parked streams of one moment: each read model has all up to there, and no more.

    Whoever was killed may be committing still, so all is read as of one snapshot.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        positions = dict(ProjectionCheckpoint.objects.values_list("projection", "position"))
        failures = ProjectionFailure.objects.filter(stream_id__in=stream_ids)
        parked = {(one.projection, one.stream_id): one for one in failures}
        for projection in (projector.name for projector in ACCOUNT_PROJECTORS):
            for stream_id in stream_ids:
                known = [event for event in events_of(stream_id) if event.position <= positions[projection]]
                if failure := parked.get((projection, stream_id)):
                    known = known[: known_while_parked(failure)]
                assert_rows_match(projection, stream_id, known)


def known_while_parked(failure: ProjectionFailure) -> int:
    """Return the version that rows have while their stream is parked: they are gone on from, or replaced as a whole."""
    if not failure.rows_are_suspect:
        return failure.version - 1
    rows = rows_of(failure.projection, failure.stream_id)
    return int(rows[-1][0])


def kill_at_random(*, rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    catch_up()
    writer = Writer(seed)
    for number in range(rounds):
        before = dict(ProjectionCheckpoint.objects.values_list("projection", "position"))
        with writer.writing(), killed_later(writer, dice, number):
            wait_until(partial(has_moved, before))
            # Any moment is as good as another.
            time.sleep(dice.uniform(0, 0.3))
        assert_rows_are_what_the_checkpoints_say(writer.stream_ids)
    finish(writer)


def has_moved(before: dict[str, int]) -> bool:
    return dict(ProjectionCheckpoint.objects.values_list("projection", "position")) != before


@contextmanager
def killed_later(writer: Writer, dice: random.Random, number: int) -> Iterator[None]:
    """Run two runners at once, and every other round the repair of a long account; at the end kill all of them."""
    variables = {"PROJECTION_BATCH_EVENTS": str(dice.choice([7, 50, 1_000])), "PROJECTION_RETRY_SECONDS": "0"}
    repair = ("manage.py", "rebuild_stream", writer.long_account.stream_id, "to be killed")
    with running("manage.py", "run_projections", **variables):
        with running(*(repair if number % 2 else ("manage.py", "run_projections")), **variables):
            yield


def finish(writer: Writer) -> None:
    """Let everything be done that is to be done, and compare all of it."""
    call_command("rebuild_stream", writer.long_account.stream_id, "at last", stdout=StringIO())
    catch_up()
    assert_rows_are_what_the_checkpoints_say(writer.stream_ids)
    failures = ProjectionFailure.objects.filter(stream_id__in=writer.stream_ids)
    expected = {(one.name, *poisoned) for one in ACCOUNT_PROJECTORS for poisoned in writer.poisoned.items()}
    assert set(failures.values_list("projection", "stream_id", "version")) == expected
    assert_read_models_match([one for one in writer.stream_ids if one not in writer.poisoned])
    failures.delete()


@pytest.mark.timeout(120)
def test_killed_at_any_moment_the_read_models_are_the_fold():
    kill_at_random(rounds=2, seed=uuid4().int)


@pytest.mark.heavy
@pytest.mark.timeout(1_800)
def test_killed_fifty_times_the_read_models_are_the_fold_every_time():
    kill_at_random(rounds=50, seed=uuid4().int)

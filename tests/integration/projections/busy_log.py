"""A log that is written to all the time, and the read models of any moment compared with it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Event, Thread

from django.db import connection, transaction

from eventstore.records import RecordedEvent, StreamAppend
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS
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
from tests.integration.projections.transfer_log import (
    begun_transfer,
    ended_transfer,
    expected_transfer_rows,
    transfer_rows,
)
from tests.polling import DEADLINE_SECONDS

ACCOUNTS = 24
LONG_ACCOUNT_EVENTS = 120
PACE_SECONDS = 0.02
"""So that what fifty rounds leave to compare does not take longer than they."""
POISON_EVERY = 50
"""Often enough that a few rounds have one, and so seldom that after fifty there are accounts left that have none."""


class Writer:
    """Appends all the time: to accounts that are all written again and again, some of which are poisoned one day,
    and to transfers that begin and, most of them, end.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.long_account = busy_account(LONG_ACCOUNT_EVENTS)
        self._accounts = [self.long_account, *(busy_account(self._dice.randint(1, 12)) for _ in range(ACCOUNTS))]
        append(*self._accounts)
        self._begun: list[StreamAppend] = []
        self._ended: list[StreamAppend] = []
        self.poisoned: dict[str, int] = {}
        self._numbers = count()
        self._stop = Event()

    @property
    def stream_ids(self) -> list[str]:
        return [head.stream_id for head in (*self._accounts, *self._begun, *self._ended)]

    @property
    def account_streams(self) -> list[str]:
        return [head.stream_id for head in self._accounts]

    def write(self) -> None:
        """Write until told to stop."""
        try:
            while not self._stop.wait(PACE_SECONDS):
                number = next(self._numbers)
                if number % 10 == 9:
                    self._write_transfer()
                else:
                    chosen = self._dice.randrange(1 if number % POISON_EVERY == POISON_EVERY // 2 else 0, ACCOUNTS)
                    poison = number % POISON_EVERY == POISON_EVERY // 2
                    self._accounts[chosen] = self._next(self._accounts[chosen], poison=poison)
        finally:
            connection.close()

    def _write_transfer(self) -> None:
        if self._begun and self._dice.random() < 0.5:
            begun = self._begun[-1]
            ended = ended_transfer(self._dice, begun)
            append(ended)
            self._begun.remove(begun)
            self._ended.append(ended)
        else:
            begun = begun_transfer(self._dice)
            append(begun)
            self._begun.append(begun)

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
            assert not thread.is_alive()


def assert_rows_are_what_the_checkpoints_say(writer: Writer) -> None:
    """Compare rows, checkpoints and parked streams of one moment: each read model has all up to there, and no more.

    Whoever was killed may be committing still, so all is read as of one snapshot.
    """
    stream_ids = writer.stream_ids
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        positions = checkpoints()
        failures = ProjectionFailure.objects.filter(stream_id__in=stream_ids)
        parked = {(one.projection, one.stream_id): one for one in failures}
        events = {stream_id: events_of(stream_id) for stream_id in stream_ids}
        for projector in PROJECTORS:
            for stream_id in (one for one in stream_ids if one.startswith(projector.stream_prefix)):
                known = [event for event in events[stream_id] if event.position <= positions[projector.name]]
                if failure := parked.get((projector.name, stream_id)):
                    known = known[: _known_while_parked(failure)]
                _assert_match(projector.name, stream_id, known)


def assert_all_is_projected(writer: Writer) -> None:
    """Compare everything once all is caught up with: no stream is parked but those that are poisoned, each there."""
    assert_rows_are_what_the_checkpoints_say(writer)
    failures = ProjectionFailure.objects.filter(stream_id__in=writer.stream_ids)
    expected = {(one.name, *poisoned) for one in ACCOUNT_PROJECTORS for poisoned in writer.poisoned.items()}
    assert set(failures.values_list("projection", "stream_id", "version")) == expected
    assert expected
    assert_read_models_match([one for one in writer.account_streams if one not in writer.poisoned])
    failures.delete()


def has_moved(before: dict[str, int]) -> bool:
    """Tell whether any projection has come further than in `before`."""
    return checkpoints() != before


def checkpoints() -> dict[str, int]:
    return dict(ProjectionCheckpoint.objects.values_list("projection", "position"))


def _known_while_parked(failure: ProjectionFailure) -> int:
    """Return the version that rows have while their stream is parked: they are gone on from, or replaced as a whole."""
    if not failure.rows_are_suspect:
        return failure.version - 1
    rows = rows_of(failure.projection, failure.stream_id)
    return int(rows[-1][0])


def _assert_match(projection: str, stream_id: str, events: list[RecordedEvent]) -> None:
    if projection == "transfer_status":
        assert transfer_rows(stream_id) == expected_transfer_rows(events), (projection, stream_id)
    else:
        assert_rows_match(projection, stream_id, events)

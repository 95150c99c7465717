"""One stream's rows in one read model, compared with those that its events make."""

from collections.abc import Iterator, Sequence
from typing import Any

from eventstore.records import RecordedEvent
from projections.projector import Projector, Row
from projections.verification.canonical import canonical
from projections.verification.differences import READ_MODEL, Findings
from projections.verification.sorted_rows import json_columns_of, with_documents


class StreamRows:
    """Takes the events of a stream in order, and its rows as they come; adds to `findings` where they differ.

    Of the rows it holds no more than those that it could not match yet: so an append-only read model takes no more
    memory than a page, as long as the rows come in the order in which the projector makes them.
    """

    def __init__(
        self,
        *,
        projector: Projector[Any],
        findings: Findings,
        rows: Iterator[Row],
        until_position: int,
        until_version: int | None = None,
    ) -> None:
        self._projector = projector
        self._findings = findings
        self._rows = rows
        self._until_position = until_position
        self._until_version = until_version
        self._state: Any = projector.initial(stream_id=findings.stream_id)
        self._key = projector.columns.index(projector.model._meta.pk.attname)
        self._expected: dict[Any, Row] = {}
        self._actual: dict[Any, Row] = {}
        self._history: list[Any] = []
        self._is_broken = False

    def take(self, event: RecordedEvent) -> None:
        """Project the next event, if it is not after the checkpoint, nor after what a parked stream has come to."""
        if self._is_broken or event.position > self._until_position:
            return
        if self._until_version is not None and event.version > self._until_version:
            return
        if event.version != self._state.version + 1:
            # What a gap makes of the rows nobody can say; the gap itself is told by the fold.
            self._is_broken = True
            return
        try:
            self._state = self._projector.apply(state=self._state, event=event)
        except Exception as error:
            self._fail(event.version, error)
            return
        self._history.append(self._state)

    def end_page(self) -> None:
        """Compare the rows that the events since the last page make."""
        if not self._history:
            return
        try:
            made = self._projector.rows(history=self._history)
        except Exception as error:
            self._fail(self._state.version, error)
        else:
            self._compare(made)
        self._history = []

    def end(self) -> None:
        """Compare what is left on either side, unless the rows could not be made to their end."""
        for row in self._rows:
            if not self._is_broken:
                self._meet(row, is_last_chance=True)
        if self._is_broken:
            return
        for row in self._expected.values():
            self._misses(row)
        for row in self._actual.values():
            self._is_extra(row)

    def _compare(self, made: Sequence[Row]) -> None:
        json_columns = json_columns_of(self._projector.model, self._projector.columns)
        for row in made:
            row = with_documents(row=row, json_columns=json_columns, text_of=canonical)
            if not self._projector.append_only:
                # The next events may make this row again: the last one counts.
                self._expected[row[self._key]] = row
                continue
            actual = next(self._rows, None)
            if actual == row:
                continue
            self._expect(row, is_last_chance=actual is None)
            if actual is not None:
                self._meet(actual)

    def _expect(self, row: Row, *, is_last_chance: bool) -> None:
        """Compare a row that there must be with the one of its key, if that has come already."""
        if actual := self._actual.pop(row[self._key], None):
            self._compare_columns(row, actual)
        elif is_last_chance:
            self._misses(row)
        else:
            self._expected[row[self._key]] = row

    def _meet(self, actual: Row, *, is_last_chance: bool = False) -> None:
        """Compare a row that there is with the one that there must be, if that has been made already."""
        if row := self._expected.pop(actual[self._key], None):
            self._compare_columns(row, actual)
        elif is_last_chance:
            self._is_extra(actual)
        else:
            self._actual[actual[self._key]] = actual

    def _compare_columns(self, expected: Row, actual: Row) -> None:
        if expected == actual:
            return
        for column, wanted, found in zip(self._projector.columns, expected, actual, strict=True):
            if wanted != found:
                self._differs(expected[self._key], column, wanted, found)

    def _misses(self, row: Row) -> None:
        self._differs(row[self._key], "row", row, "missing")

    def _is_extra(self, row: Row) -> None:
        self._differs(row[self._key], "row", "none", row)

    def _fail(self, version: int, error: Exception) -> None:
        self._is_broken = True
        expected = "an event that can be projected, or a parked stream"
        self._differs(f"version {version}", "event", expected, f"{type(error).__name__}: {error}")

    def _differs(self, key: Any, column: str, expected: Any, actual: Any) -> None:
        self._findings.add(
            check=READ_MODEL, place=self._projector.name, key=key, column=column, expected=expected, actual=actual
        )

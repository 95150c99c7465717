"""What a verification finds: differences, those of one stream, and the report of a whole run."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

MAX_SHOWN_LENGTH = 300
KEPT_OF_A_STREAM = 20

READ_MODEL, SNAPSHOT, IN_FLIGHT = "read_model", "snapshot", "in_flight"
MENDABLE = frozenset({READ_MODEL, SNAPSHOT, IN_FLIGHT})
"""The checks of what is derived from the log. All others are of the log itself, which nobody mends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it should be.

    `check` names what was checked, `stream_id` the stream ("" if it is the whole log), `place` the projection or what
    else of the log, `key` the row in it, `column` what of it; `expected` and `actual` are short text.
    """

    check: str
    stream_id: str
    place: str
    key: str
    column: str
    expected: str
    actual: str

    @property
    def identity(self) -> UUID:
        """What stays the same as long as the same thing is wrong, whatever it is found to be."""
        text = "\n".join((self.check, self.stream_id, self.place, self.key, self.column))
        return UUID(bytes=blake2b(text.encode(), digest_size=16).digest())

    def __str__(self) -> str:
        where = f"{self.stream_id}: " if self.stream_id else ""
        row = f"{self.place} {self.key}".strip()
        return f"{self.check}: {where}{row}, {self.column}: expected {self.expected}, is {self.actual}"


def difference(
    *, check: str, place: str, key: Any, column: str, expected: Any, actual: Any, stream_id: str = ""
) -> Difference:
    """Return a difference whose values are told as short text."""
    return Difference(
        check=check,
        stream_id=stream_id,
        place=place,
        key=shown(key),
        column=column,
        expected=shown(expected),
        actual=shown(actual),
    )


def shown(value: Any) -> str:
    """Return a value as short text that can be stored, whatever it is: a damaged row may hold anything."""
    if isinstance(value, bytes | memoryview):
        text = bytes(value).hex()
    elif hasattr(value, "isoformat"):
        text = value.isoformat()
    else:
        text = value if isinstance(value, str) else repr(value)
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[:MAX_SHOWN_LENGTH]}…"


@dataclass(slots=True, kw_only=True)
class Findings:
    """What is wrong with one stream: all of it counted, by check and place, and the first differences kept."""

    stream_id: str
    differences: list[Difference] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, *, check: str, place: str, key: Any, column: str, expected: Any, actual: Any) -> None:
        """Count a difference, and keep it if it is among the first."""
        self.counts[check, place] += 1
        if len(self.differences) < KEPT_OF_A_STREAM:
            found = difference(
                check=check,
                stream_id=self.stream_id,
                place=place,
                key=key,
                column=column,
                expected=expected,
                actual=actual,
            )
            self.differences.append(found)

    @property
    def log_is_sound(self) -> bool:
        """Whether everything that is wrong is derived from the stream's events, and can be made from them again."""
        return all(check in MENDABLE for check, _ in self.counts)


class Parked(NamedTuple):
    """A stream that a projection has put aside at a version; while it is being made anew its rows are not compared."""

    projection: str
    stream_id: str
    version: int
    is_being_rebuilt: bool


@dataclass(slots=True, kw_only=True)
class Report:
    """What a verification came to: all differences counted by check, the first `limit` of them kept.

    Parked streams are no differences: the first `limit` of them are kept, and those that were not compared counted.
    """

    limit: int
    events: int = 0
    streams: int = 0
    differences: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    mended: int = 0
    parked: list[Parked] = field(default_factory=list)
    parked_streams: int = 0
    not_compared: int = 0

    @property
    def total(self) -> int:
        """How many differences were found."""
        return self.counts.total()

    @property
    def remaining(self) -> int:
        """How many of them are still there."""
        return self.total - self.mended

    def add(self, differences: Iterable[Difference]) -> None:
        """Count differences, and keep those within the limit."""
        for found in differences:
            self.counts[found.check] += 1
            self._keep(found)

    def add_findings(self, findings: Findings) -> None:
        """Count all that is wrong with a stream, and keep what is within the limit."""
        for (check, _), count in findings.counts.items():
            self.counts[check] += count
        for found in findings.differences:
            self._keep(found)

    def add_parked(self, parked: Iterable[Parked]) -> None:
        """Count parked streams, and keep those within the limit."""
        for one in parked:
            self.parked_streams += 1
            self.not_compared += one.is_being_rebuilt
            if len(self.parked) < self.limit:
                self.parked.append(one)

    def _keep(self, found: Difference) -> None:
        if len(self.differences) < self.limit:
            self.differences.append(found)

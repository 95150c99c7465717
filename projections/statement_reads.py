"""Statements as their readers may see them: lines of the read model, and those that it does not have yet."""

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any, TypeAlias

from django.conf import settings
from django.db import connection
from django.db.models import Exists, Max, QuerySet

from accounts.domain.access import AccountReach
from accounts.domain.exceptions import AccountNotFound
from accounts.repository import account_stream_id
from eventstore.chain import MAX_WHOLE_NUMBER
from eventstore.store import event_store
from eventstore.waiting import at_length
from projections.account_reads import load_account_at
from projections.engine import StreamGap
from projections.freshness import Freshness, freshness_of
from projections.models import AccountStatement, AccountSummary
from projections.prepared_reads import statement_page
from projections.projectors.account_statement import AccountStatementProjector, StatementEnd
from projections.serializers import ENTRY_COLUMNS, entry_document
from projections.statements import column

MOST_SHORT_LINES = 100
MOST_LINES_ON_THE_WAY = 1_000
"""Up to how many lines a page has, and PostgreSQL passes until its end, if it is read without a thread of its own."""

Line: TypeAlias = Mapping[str, Any]

# What the conditions of a selection mean outside of the database.
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "exact": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which lines of a statement are asked for: those that meet all `conditions`, by column and lookup; then a page."""

    conditions: Mapping[tuple[str, str], Any]
    descending: bool
    offset: int
    limit: int

    @property
    def end(self) -> int:
        """How many lines that meet the conditions there are up to the page's end."""
        return self.offset + self.limit

    @property
    def is_short(self) -> bool:
        """Whether the page takes little time to read, however many lines the statement has."""
        # Any other condition may not be met by any line, and then all of them are looked at.
        is_by_version = all(name == "stream_version" for name, _ in self.conditions)
        return is_by_version and self.limit <= MOST_SHORT_LINES and self.end <= MOST_LINES_ON_THE_WAY

    def of_projected(self, lines: QuerySet[AccountStatement]) -> QuerySet[AccountStatement]:
        """Narrow and order `lines`; the page is not taken yet."""
        wanted = {f"{name}__{lookup}": value for (name, lookup), value in self.conditions.items()}
        return lines.filter(**wanted).order_by("-stream_version" if self.descending else "stream_version")

    def of_later(self, lines: Iterable[Line]) -> Iterable[Line]:
        """Narrow and order `lines`, which come in order of version; no more than the page can show are kept."""
        wanted = (line for line in lines if self._holds(line))
        return reversed(deque(wanted, maxlen=self.end)) if self.descending else islice(wanted, self.end)

    def _holds(self, line: Line) -> bool:
        return all(_COMPARISONS[lookup](line[name], value) for (name, lookup), value in self.conditions.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementPage:
    """Lines of a statement as the API shows them, the version that they reflect, and how fresh the read model is."""

    entries: list[dict[str, Any]]
    version: int
    freshness: Freshness


def read_statement(*, account_id: str, selection: Selection, reach: AccountReach, min_version: int) -> StatementPage:
    """Return the selected lines of the account's statement at `min_version` or later.

    They are the read model's, and if that is behind `min_version` those of the store's later events besides: what the
    read model will show. With `min_version` 0 they are the read model's, however far it is. Raises AccountNotFound,
    also for an account beyond `reach`, or VersionConflict if the account never was at `min_version`.
    """
    read = partial(_projected_page, account_id, selection, reach)
    page = read() if selection.is_short and connection.vendor == "postgresql" else at_length(read)
    if min_version > page.version:
        stored = load_account_at(account_id=account_id, reach=reach, min_version=min_version)
        # Nobody knows how far the projection is behind.
        entries = at_length(partial(_entries_at, account_id, selection, stored.version))
        return StatementPage(entries=entries, version=stored.version, freshness=page.freshness)
    if not page.version:
        raise AccountNotFound(accountId=account_id)
    return page


def _projected_page(account_id: str, selection: Selection, reach: AccountReach) -> StatementPage:
    if connection.vendor != "postgresql":
        return _page_by_the_orm(account_id, selection, reach)
    conditions = selection.conditions
    entries, version, freshness = statement_page(
        account_id=account_id,
        client_id=None if account_id in reach.granted else reach.client_id,
        after=conditions.get(("stream_version", "lt"), MAX_WHOLE_NUMBER)
        if selection.descending
        else conditions.get(("stream_version", "gt"), 0),
        begin=conditions.get(("occurred_at", "gte")),
        end=conditions.get(("occurred_at", "lt")),
        event_type=conditions.get(("event_type", "exact")),
        newest_first=selection.descending,
        offset=selection.offset,
        limit=selection.limit,
    )
    return StatementPage(entries=entries, version=version, freshness=freshness)


def _page_by_the_orm(account_id: str, selection: Selection, reach: AccountReach) -> StatementPage:
    lines = _within(AccountStatement.objects.filter(account_id=account_id), account_id, reach)
    about = {"version": column(stem="last_statement_version", parameters=(account_id,))}
    selected = selection.of_projected(lines).annotate(**about).values(*ENTRY_COLUMNS, *about)
    page = selected[selection.offset : selection.end]
    rows = list(page)
    if not rows:
        # What is told of an empty page must not be newer than its look at the lines, or it would vouch for events that
        # the look missed: so it is asked, and the lines are read again.
        version = lines.aggregate(version=Max("stream_version"))["version"]
        freshness = freshness_of(projection="account_statement")
        rows = list(page.all())
        if not rows:
            return StatementPage(entries=[], version=version or 0, freshness=freshness)
    entries = [entry_document(row) for row in rows]
    freshness = freshness_of(projection="account_statement")
    return StatementPage(entries=entries, version=rows[0]["version"], freshness=freshness)


def _within(lines: QuerySet[AccountStatement], account_id: str, reach: AccountReach) -> QuerySet[AccountStatement]:
    """Return `lines`, but none if the account is beyond `reach`: the same query takes a look at the account."""
    if reach.client_id is None or account_id in reach.granted:
        return lines
    return lines.filter(Exists(AccountSummary.objects.filter(account_id=account_id, client_id=reach.client_id)))


def _entries_at(account_id: str, selection: Selection, version: int) -> list[dict[str, Any]]:
    return [entry_document(line) for line in _lines_at(account_id, selection, version)]


def _lines_at(account_id: str, selection: Selection, version: int) -> list[Line]:
    """Return the selected lines of the statement as it is at `version`, whose last lines are not projected yet."""
    stream_id = account_stream_id(account_id)
    projector = AccountStatementProjector()
    # First the end, then only lines up to it: a runner may be adding lines meanwhile, but none is missed or told twice.
    end = projector.load(stream_ids=[stream_id]).get(stream_id) or projector.initial(stream_id=stream_id)
    lines = AccountStatement.objects.filter(account_id=account_id, stream_version__lte=min(end.version, version))
    projected = selection.of_projected(lines).values(*ENTRY_COLUMNS)[: selection.end]
    later = selection.of_later(_later_lines(projector, stream_id, end, version))
    in_order = chain(later, projected) if selection.descending else chain(projected, later)
    return list(islice(in_order, selection.offset, selection.end))


def _later_lines(
    projector: AccountStatementProjector, stream_id: str, end: StatementEnd, version: int
) -> Iterator[Line]:
    """Yield the lines after `end` up to `version`, made as the projection will make them."""
    # The end may be past the version by now: then there is nothing to add.
    while end.version < version:
        limit = min(version - end.version, settings.PROJECTION_BATCH_EVENTS)
        events = event_store().read_stream(stream_id, after_version=end.version, limit=limit)
        if not events:
            raise StreamGap(f"{stream_id} is at version {version}, but has no event after version {end.version}")
        for event in events:
            end = projector.apply(state=end, event=event)
            for row in projector.rows(history=[end]):
                line = dict(zip(projector.columns, row, strict=True))
                yield {name: line[name] for name in ENTRY_COLUMNS}

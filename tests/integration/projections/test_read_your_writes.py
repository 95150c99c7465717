"""Reads with minVersion: never behind the write that they follow, whatever the projections have come to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from accounts.domain.events import AccountEvent, AccountFrozen
from eventstore.records import StreamAppend
from eventstore.store import event_store
from projections.account_reads import load_account_at
from projections.models import AccountStatement, AccountSummary, ProjectionFailure
from projections.runner import catch_up
from projections.streams import rebuild_stream
from tests.factories import NOON, NewEventFactory, StreamAppendFactory
from tests.integration.projections.account_log import (
    ACCOUNT_PROJECTORS,
    account_append,
    append,
    created,
    deposited,
    new_account_id,
    record,
    withdrawn,
)
from tests.round_trips import round_trips

VIEWS = ("", "/balance", "/history")


def read(client, account_id: str, view: str = "", **query) -> Any:
    response = client.get(f"/api/accounts/{account_id}{view}", query)
    assert response.status_code == 200, response.content
    return response.json()


def appended_history(account_id: str, events: list[AccountEvent], after: StreamAppend | None = None) -> StreamAppend:
    """Append `events`, each a minute after the one before, and return what was appended."""
    first_minute = after.expected_version + len(after.events) if after else 0
    dated = [
        NewEventFactory.build(
            event_type=event.event_type,
            schema_version=event.schema_version,
            data=event.data,
            occurred_at=NOON + timedelta(minutes=first_minute + minute, microseconds=718_999),
        )
        for minute, event in enumerate(account_append(*events).events)
    ]
    made = StreamAppendFactory.build(stream_id=f"account-{account_id}", after=after, events=tuple(dated))
    append(made)
    return made


def movements(account_id: str, number: int) -> list[AccountEvent]:
    return [
        withdrawn(account_id, 7, counterparty="acc-other") if step % 3 == 2 else deposited(account_id, 5 + step)
        for step in range(number)
    ]


def park(stream_id: str) -> None:
    """Keep projections from going on with the stream, as an event that they cannot apply does."""
    now = timezone.now()
    for projector in ACCOUNT_PROJECTORS:
        ProjectionFailure.objects.create(
            projection=projector.name,
            stream_id=stream_id,
            version=1,
            position=1,
            event_id=uuid4(),
            first_failed_at=now,
            last_failed_at=now,
        )


def test_a_new_account_is_there_at_once(client):
    account_id = new_account_id()
    appended_history(account_id, [created(account_id, owner_id="user-7"), *movements(account_id, 3)])
    for view in VIEWS:
        assert client.get(f"/api/accounts/{account_id}{view}").status_code == 404
    early = [read(client, account_id, view, minVersion=4) for view in VIEWS]
    assert (early[0]["ownerId"], early[0]["createdAt"]) == ("user-7", "2026-03-22T12:00:00.718Z")
    assert early[0]["updatedAt"] == "2026-03-22T12:03:00.718Z"
    assert (early[1]["balance"], early[1]["version"]) == (4, 4)
    assert [line["balance"] for line in early[2]["entries"]] == [0, 5, 11, 4]
    catch_up()
    assert early == [read(client, account_id, view) for view in VIEWS]


def test_an_account_that_moved_on_is_told_as_it_is(client):
    account_id = new_account_id()
    first = appended_history(account_id, [created(account_id), *movements(account_id, 3)])
    catch_up()
    appended_history(account_id, [*movements(account_id, 2), AccountFrozen(account_id=account_id)], after=first)
    behind = [read(client, account_id, view) for view in VIEWS]
    assert (behind[0]["version"], behind[0]["status"]) == (4, "ACTIVE")
    # What is asked for may be behind what is told: there is one present state, and the store tells it.
    early = [read(client, account_id, view, minVersion=5) for view in VIEWS]
    assert (early[0]["version"], early[0]["status"], early[0]["balance"]) == (7, "FROZEN", 15)
    catch_up()
    assert early == [read(client, account_id, view) for view in VIEWS]


PAGES: list[dict[str, Any]] = [{}, {"limit": 3}, {"limit": 4, "offset": 4}, {"limit": 2, "offset": 9}, {"offset": 30}]
PARTS: list[dict[str, Any]] = [
    {},
    {"after": 6},
    {"after": 11},
    {"type": "MoneyWithdrawn"},
    {"from": "2026-03-22T12:03:00Z", "to": "2026-03-22T12:11:00.718999Z"},
    {"from": "2026-03-22T12:10Z", "type": "MoneyDeposited"},
]


@pytest.mark.parametrize(
    ("projected", "parked", "batch_events"), [(0, False, 1000), (1, True, 1000), (5, False, 2), (8, True, 2)]
)
def test_a_history_is_what_the_projection_will_show(client, settings, projected, parked, batch_events):
    settings.PROJECTION_BATCH_EVENTS = batch_events
    account_id, head = new_account_id(), 13
    stream_id = f"account-{account_id}"
    events = [created(account_id), *movements(account_id, head - 1)]
    first = appended_history(account_id, events[:projected]) if projected else None
    catch_up()
    if parked:
        park(stream_id)
    appended_history(account_id, events[projected:], after=first)
    if parked:
        catch_up()
    selections = [{"order": order, **page, **part} for order, page, part in product(("asc", "desc"), PAGES, PARTS)]
    early = [read(client, account_id, "/history", minVersion=head, **query) for query in selections]
    assert AccountStatement.objects.filter(account_id=account_id).count() == projected

    if parked:
        for projector in ACCOUNT_PROJECTORS:
            assert rebuild_stream(projector=projector, stream_id=stream_id).error is None
    else:
        catch_up()
    for query, told in zip(selections, early, strict=True):
        assert told == read(client, account_id, "/history", **query), query
    assert max(len(told["entries"]) for told in early) == head


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("is_projected", [True, False])
def test_a_version_that_never_was_is_a_conflict(client, view, is_projected):
    account_id = new_account_id()
    record(created(account_id), deposited(account_id, 5))
    if is_projected:
        catch_up()
    response = client.get(f"/api/accounts/{account_id}{view}", {"minVersion": 3})
    assert response.status_code == 409
    problem = response.json()
    assert (problem["code"], problem["expectedVersion"], problem["actualVersion"]) == ("version_conflict", 3, 2)


@pytest.mark.parametrize("view", VIEWS)
def test_an_account_that_never_was_is_not_found_at_any_version(client, view):
    response = client.get(f"/api/accounts/{new_account_id()}{view}", {"minVersion": 1})
    assert (response.status_code, response.json()["code"]) == (404, "account_not_found")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("value", ["0", "-1", "1.0", "x", "", "9007199254740992"])
def test_what_is_no_version(client, view, value):
    response = client.get(f"/api/accounts/{new_account_id()}{view}", {"minVersion": value})
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["minVersion"]


@pytest.mark.parametrize("view", VIEWS)
def test_a_row_that_is_fresh_enough_takes_one_query_and_no_look_at_the_store(client, view):
    account_id = new_account_id()
    record(created(account_id), deposited(account_id, 5))
    catch_up()
    # The row is what is told, and no state of the store's.
    AccountSummary.objects.filter(account_id=account_id).update(balance=6)
    AccountStatement.objects.filter(account_id=account_id).update(balance=6)
    url = f"/api/accounts/{account_id}{view}"
    assert round_trips(partial(client.get, url, {"minVersion": 2})) == 1
    assert "6" in str(client.get(url, {"minVersion": 2}).json())


@pytest.mark.parametrize("view", VIEWS)
def test_the_etag_is_the_version_that_is_told(client, view):
    account_id = new_account_id()
    first = record(created(account_id), deposited(account_id, 5))
    catch_up()
    record(deposited(account_id, 5), after=first)
    url = f"/api/accounts/{account_id}{view}"
    assert client.get(url).headers["ETag"] == '"2"'
    assert client.get(url, {"minVersion": 3}).headers["ETag"] == '"3"'
    assert client.get(url).headers["Cache-Control"] == "no-store"


def test_a_page_of_a_history_is_at_the_version_of_the_whole(client):
    account_id = new_account_id()
    record(created(account_id), deposited(account_id, 5), deposited(account_id, 5))
    catch_up()
    for query in ({"limit": 1}, {"after": 3}, {"type": "AccountCreated"}):
        assert client.get(f"/api/accounts/{account_id}/history", query).headers["ETag"] == '"3"'


@pytest.mark.parametrize("view", [*(f"/{{}}{view}" for view in VIEWS), "", "?ownerId=nobody", "/{}/history?offset=9"])
def test_reads_say_how_far_their_projection_has_come(client, view):
    account_id = new_account_id()
    first = record(created(account_id))
    catch_up()
    head = event_store().head_position()
    url = "/api/accounts" + view.format(account_id)
    fresh = client.get(url)
    assert fresh.status_code == 200
    assert (fresh.headers["X-Projection-Position"], fresh.headers["X-Projection-Age-Ms"]) == (str(head), "0")

    before = timezone.now()
    record(deposited(account_id, 5), after=first)
    stale = client.get(url)
    longest = (timezone.now() - before) / timedelta(milliseconds=1)
    assert stale.headers["X-Projection-Position"] == str(head)
    assert 0 < int(stale.headers["X-Projection-Age-Ms"]) <= longest + 1


class ProjectingMeanwhile:
    """An execute wrapper in whose way a runner projects all there is, right after the first look at the statement."""

    def __init__(self) -> None:
        self.has_run = False

    def __call__(self, execute, sql, parameters, many, context):
        result = execute(sql, parameters, many, context)
        if not self.has_run and "account_statement" in sql:
            self.has_run = True
            with ThreadPoolExecutor(1) as pool:
                pool.submit(self.project).result()
        return result

    @staticmethod
    def project() -> None:
        try:
            catch_up()
        finally:
            connection.close()


def test_a_page_that_was_empty_vouches_for_nothing_projected_after_it(client):
    account_id = new_account_id()
    made = appended_history(account_id, [created(account_id)])
    catch_up()
    appended_history(account_id, movements(account_id, 1), after=made)
    meanwhile = ProjectingMeanwhile()
    with connection.execute_wrapper(meanwhile):
        entries = read(client, account_id, "/history", minVersion=2, after=1)["entries"]
    assert meanwhile.has_run
    assert [line["streamVersion"] for line in entries] == [2]


@pytest.mark.parametrize("order, expected", [("asc", [1, 2, 3]), ("desc", [3, 2, 1])])
def test_a_runner_that_gets_ahead_of_a_read_adds_nothing_to_it(client, monkeypatch, order, expected):
    account_id = new_account_id()
    made = appended_history(account_id, [created(account_id), *movements(account_id, 2)])

    def load_and_be_overtaken(**wanted):
        stored = load_account_at(**wanted)
        appended_history(account_id, movements(account_id, 2), after=made)
        catch_up()
        return stored

    monkeypatch.setattr("projections.statement_reads.load_account_at", load_and_be_overtaken)
    entries = read(client, account_id, "/history", minVersion=3, order=order)["entries"]
    assert [line["streamVersion"] for line in entries] == expected

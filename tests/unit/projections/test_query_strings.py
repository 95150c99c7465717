"""What query strings mean once they are read."""

from datetime import UTC, datetime

import pytest
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from accounts.serializers import NoQuery
from projections.serializers import AccountListQuery, HistoryQuery


def test_a_history_without_parameters():
    assert HistoryQuery.read(data=QueryDict("")) == {"limit": 100, "offset": 0, "order": "asc"}


def test_a_history_with_all_parameters():
    query = QueryDict(
        "minVersion=7&limit=500&offset=10000&after=3&order=desc&type=AccountFrozen"
        "&from=2026-03-22T12:00:00.5%2B02:00&to=2026-03-22T12:00Z"
    )
    assert HistoryQuery.read(data=query) == {
        "min_version": 7,
        "limit": 500,
        "offset": 10_000,
        "after": 3,
        "order": "desc",
        "type": "AccountFrozen",
        "from": datetime(2026, 3, 22, 10, 0, 0, 500_000, tzinfo=UTC),
        "to": datetime(2026, 3, 22, 12, tzinfo=UTC),
    }


def test_a_list_with_all_parameters():
    query = QueryDict("ownerId=user-1&status=CLOSED&currency=KWD&cursor=acc-1&limit=1")
    assert AccountListQuery.read(data=query) == {
        "owner_id": "user-1",
        "status": "CLOSED",
        "currency": "KWD",
        "cursor": "acc-1",
        "limit": 1,
    }


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "2026-03-22",
        "2026-03-22 12:00:00Z",
        "2026-03-22T12:00:00",
        "2026-03-22T12:00:00 01:00",
        "2026-03-22T25:00:00Z",
        "2026-03-22T12:00:00.1234567Z",
        "2026-W12-7T12:00:00Z",
        "٢٠٢٦-03-22T12:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_moments_that_are_none(moment):
    query = QueryDict(mutable=True)
    query["from"] = moment
    with pytest.raises(ValidationError) as refusal:
        HistoryQuery.read(data=query)
    assert refusal.value.get_codes() == {"from": ["not_an_instant"]}


def test_a_read_without_parameters_takes_none():
    assert NoQuery.read(data=QueryDict("")) == {}
    with pytest.raises(ValidationError) as refusal:
        NoQuery.read(data=QueryDict("verbose=1"))
    assert refusal.value.get_codes() == {"verbose": ["unknown_field"]}
